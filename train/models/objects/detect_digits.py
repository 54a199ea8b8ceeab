"""detect-digits: an anchor-free detector of handwritten digits on photographs, after CenterNet (Zhou et al. 2019).

A class score and a box for each of 24 x 24 places. A digit is learnt by the places around its centre; the scores of
places further off fall as a bell, so that few overlapping boxes are left to remove.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.detection import DETECTION, OBJECTS
from edgekit.train.augment import recolored
from edgekit.train.data.scenes.boxed_scenes import MOST, SIDE, boxed_scenes
from edgekit.train.model import Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions

STRIDE = 4
CELLS = SIDE // STRIDE
CLASSES = 10
# The share of a digit's size that is the width of its bell.
_BELL = 1 / 8
# Places whose bell is at least this high learn the box.
_NEAR = 0.6
_BOX_WEIGHT = 1.0
# The window of a scene that is drawn, as a share of it, and how much more its width changes than its height.
_ZOOM = (0.8, 1.15)
_ASPECT = (0.92, 1.08)


class Residual(nn.Module):
    """Two convolutions with batch norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.second(self.first(x))


def convolution(channels: int, out: int, stride: int = 1, size: int = 3) -> nn.Module:
    """A convolution with batch norm and ReLU."""
    return nn.Sequential(nn.Conv2d(channels, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class DetectDigits(nn.Module):
    """Features at strides 4 and 8, joined at stride 4; one head for scores and one for boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(convolution(3, 24, 2), convolution(24, 48, 2), Residual(48))
        self.deep = nn.Sequential(convolution(48, 96, 2), Residual(96), Residual(96))
        self.lateral = convolution(96, 48, size=1)
        self.join = convolution(48, 64)
        self.scores = nn.Sequential(convolution(64, 64), nn.Conv2d(64, CLASSES, 1))
        self.distances = nn.Sequential(convolution(64, 32), nn.Conv2d(32, 4, 1))
        nn.init.constant_(self.scores[-1].bias, -4.6)  # a score of 0.01 (Lin et al. 2017)
        places = (torch.arange(CELLS) + 0.5) * STRIDE
        y, x = torch.meshgrid(places, places, indexing="ij")
        self.register_buffer("places", torch.stack([x, y], -1).reshape(1, -1, 2), persistent=False)

    def heads(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, 576, 10), and pixels from each place to the left, top, right and bottom (N, 576, 4)."""
        near = self.stem(image)  # (N, 48, 24, 24)
        far = F.interpolate(self.lateral(self.deep(near)), scale_factor=2.0)
        x = self.join(near + far)
        logits, distances = (head(x).flatten(2).transpose(1, 2) for head in (self.scores, self.distances))
        return logits, STRIDE * F.relu(distances + 2)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (N, 576, 4) as corners in pixels and scores (N, 576, 10), of images (N, 3, 96, 96) from 0 to 1."""
        logits, distances = self.heads(image)
        low, high = self.places - distances[..., :2], self.places + distances[..., 2:]
        return torch.cat([low, high], -1), torch.sigmoid(logits)


def build() -> nn.Module:
    """The untrained network."""
    return DetectDigits()


def bells(objects: Tensor, places: Tensor) -> Tensor:
    """How near each place is to the centre of each object, from 0 to 1, shape (B, M, P); 0 for rows without one.

    Args:
        objects: (B, M, 6).
        places: (1, P, 2) in pixels.
    """
    centres, sizes = (objects[..., :2] + objects[..., 2:4]) / 2, objects[..., 2:4] - objects[..., :2]
    nearest = STRIDE * ((centres / STRIDE).floor() + 0.5)  # the place in whose cell the centre is has the full score
    away = (places[:, None] - nearest[:, :, None]) / (_BELL * sizes).clamp(min=STRIDE / 2)[:, :, None]
    return torch.exp(-0.5 * away.square().sum(-1)) * (objects[..., 4:5] >= 0)


def loss(learner: Trainee, batch: Batch) -> Tensor:
    """The focal loss of CenterNet for scores, and the generalized overlap of boxes (Rezatofighi et al. 2019)."""
    network, objects = learner.model, batch.targets[OBJECTS]
    logits, distances = network.heads(batch.inputs["image"])
    near = bells(objects, network.places)
    kinds = F.one_hot(objects[..., 4].clamp(min=0).long(), CLASSES)  # (B, M, 10)
    wanted = (near[..., None] * kinds[:, :, None]).amax(1)  # (B, P, 10)
    return _focal(logits.float(), wanted) + _BOX_WEIGHT * _box_loss(distances.float(), objects, near, network.places)


def _focal(logits: Tensor, wanted: Tensor) -> Tensor:
    shares = torch.sigmoid(logits)
    is_centre = wanted >= 1
    hit = -F.logsigmoid(logits) * (1 - shares).square()
    miss = -F.logsigmoid(-logits) * shares.square() * (1 - wanted).pow(4)
    return torch.where(is_centre, hit, miss).sum() / is_centre.sum().clamp(min=1)


def _box_loss(distances: Tensor, objects: Tensor, near: Tensor, places: Tensor) -> Tensor:
    """1 minus the generalized overlap at the places that are near a centre, weighted by how near."""
    weights, owner = near.max(1)  # (B, P)
    weights = weights * (weights >= _NEAR)
    true = objects[..., :4].gather(1, owner[..., None].expand(-1, -1, 4))
    low, high = places - distances[..., :2], places + distances[..., 2:]
    shared = _area(torch.maximum(low, true[..., :2]), torch.minimum(high, true[..., 2:]))
    both = _area(low, high) + _area(true[..., :2], true[..., 2:]) - shared
    hull = _area(torch.minimum(low, true[..., :2]), torch.maximum(high, true[..., 2:]))
    overlap = shared / both.clamp(min=1) - (hull - both) / hull.clamp(min=1)
    return (weights * (1 - overlap)).sum() / weights.sum().clamp(min=1)


def _area(low: Tensor, high: Tensor) -> Tensor:
    return (high - low).clamp(min=0).prod(-1)


def augment(batch: Batch, generator: Generator) -> Batch:
    """Scenes stretched and moved, colours exchanged and inverted, contrast and brightness changed, and noise."""
    images, objects = _stretched(batch.inputs["image"], batch.targets[OBJECTS], generator)
    return batch._replace(inputs={"image": recolored(images, generator)}, targets={**batch.targets, OBJECTS: objects})


def _stretched(images: Tensor, objects: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """A window of each scene that contains all its objects, drawn at the full size; black beyond the scene."""
    count, there = len(images), objects[..., 4:5] >= 0
    low = torch.where(there, objects[..., :2], SIDE).amin(1).clamp(max=SIDE / 2)  # (B, 2)
    high = torch.where(there, objects[..., 2:4], 0).amax(1).clamp(min=SIDE / 2)
    zoom = _between(*_ZOOM, (count, 1), generator) * _between(*_ASPECT, (count, 2), generator)
    size = torch.maximum(SIDE * zoom, high - low)
    # As much of the window as can be lies on the scene.
    first = torch.maximum(high - size, torch.minimum(torch.zeros(()), SIDE - size))
    last = torch.minimum(low, torch.maximum(torch.zeros(()), SIDE - size))
    start = first + (last - first) * torch.rand(count, 2, generator=generator)
    scale, middle = size / SIDE, 2 * (start + size / 2) / SIDE - 1
    matrix = torch.cat([torch.diag_embed(scale), middle[..., None]], -1)
    drawn = F.grid_sample(images, F.affine_grid(matrix, list(images.shape), align_corners=False), align_corners=False)
    corners = (objects[..., :4] - start.repeat(1, 2)[:, None]) / scale.repeat(1, 2)[:, None]
    return drawn, torch.cat([torch.where(there, corners, objects[..., :4]), objects[..., 4:]], -1)


def _between(low: float, high: float, shape: tuple[int, ...], generator: Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def generate(count: int) -> Samples:
    """Grey scenes with one light square each, whose class is its place."""
    images = torch.full((count, 3, SIDE, SIDE), 0.4).numpy()
    objects = torch.tensor([0.0, 0, 0, 0, -1, 0]).repeat(count, MOST, 1).numpy()
    for row in range(count):
        left = 8 * (row % CLASSES)
        images[row, :, left : left + 20, left : left + 20] = 1.0
        objects[row, 0] = [left, left, left + 20, left + 20, row % CLASSES, 0]
    return Samples({"image": images}, targets={OBJECTS: objects})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="detect-digits",
        task=DETECTION,
        summary="anchor-free detector of handwritten digits on photographs",
        inputs=(TensorSpec("image", "float32", ("N", 3, SIDE, SIDE), low=0.0, high=1.0),),
        outputs=(
            TensorSpec("boxes", "float32", ("N", CELLS * CELLS, 4)),
            TensorSpec("scores", "float32", ("N", CELLS * CELLS, CLASSES), low=0.0, high=1.0),
        ),
        sizes={"N": (1, 8)},
        labels=tuple(map(str, range(CLASSES))),
        preprocessing=ImageInput(SIDE, SIDE),
        postprocessing=DetectionOutput("boxes", "scores"),
        metric=Metric("map50", floor=0.92),
        licence="CC BY-SA 3.0",
    ),
    build=build,
    location="edgekit.train.models.objects.detect_digits:build",
    data=boxed_scenes,
    dataset="mnist",
    options=TrainOptions(
        epochs=9,
        batch_size=32,
        learning_rate=3e-3,
        weight_decay=1e-2,
        schedule="one-cycle",
        average=0.998,
        clip=10.0,
        precision="bf16-mixed",
        channels_last=True,
        threads=2,
    ),
    losses=(loss,),
    augment=augment,
    generate=generate,
)
