"""segment-digits: a small U-Net (Ronneberger et al. 2015) that says which handwritten digit each pixel belongs to."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.segmentation import MASK, SEGMENTATION
from edgekit.train.augment import recolored
from edgekit.train.data.cifar import TERMS
from edgekit.train.data.scenes.masked_scenes import SIDE, masked_scenes
from edgekit.train.model import Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions

CLASSES = 11
# How far scenes are turned and scaled, in degrees and as a share.
_DEGREES = 10.0
_SCALE = 0.15


class Shortcut(nn.Module):
    """Two convolutions with batch norm, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (convolution(channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Features of the shape of `x`."""
        return x + self.second(self.first(x))


def convolution(channels: int, out: int, stride: int = 1, size: int = 3) -> nn.Module:
    """A convolution with batch norm and ReLU."""
    padding = (size - 1) // 2
    return nn.Sequential(nn.Conv2d(channels, out, size, stride, padding, bias=False), nn.BatchNorm2d(out), nn.ReLU())


class SegmentDigits(nn.Module):
    """Features at strides 2, 4 and 8; on the way up each is added to the finer one, and scores are enlarged."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(convolution(3, 24, 2, size=4), Shortcut(24))
        self.middle = nn.Sequential(convolution(24, 48, 2), Shortcut(48))
        self.coarse = nn.Sequential(convolution(48, 72, 2), Shortcut(72))
        self.narrow = nn.ModuleList([convolution(72, 48, size=1), convolution(48, 24, size=1)])
        self.join = nn.ModuleList([convolution(48, 48), convolution(24, 24)])
        self.scores = nn.ConvTranspose2d(24, CLASSES, 2, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 11, 48, 48) of images (N, 3, 48, 48) from 0 to 1."""
        fine = self.fine(image)  # (N, 24, 24, 24)
        middle = self.middle(fine)  # (N, 48, 12, 12)
        x = self.coarse(middle)  # (N, 72, 6, 6)
        for finer, narrow, join in zip((middle, fine), self.narrow, self.join, strict=True):
            x = join(finer + F.interpolate(narrow(x), scale_factor=2.0))
        return self.scores(x)


def build() -> nn.Module:
    """The untrained network."""
    return SegmentDigits()


def loss(learner: Trainee, batch: Batch) -> Tensor:
    """Cross-entropy of all pixels, that of which digit a digit's pixels show, and 1 minus the overlap of probabilities.

    A digit covers one pixel in ten, so the mean over all says little of which digit it is. To weigh its pixels more
    would draw strokes too thick: the second part compares digits with each other alone, and leaves out the ground.
    """
    logits, truth = learner.model(batch.inputs["image"]).float(), batch.targets[MASK].long()
    hot = F.one_hot(truth, CLASSES).permute(0, 3, 1, 2)  # (B, 11, 48, 48)
    shares = logits.softmax(1)
    shared = (shares * hot).sum((0, 2, 3))
    union = shares.sum((0, 2, 3)) + hot.sum((0, 2, 3)) - shared
    digits = F.cross_entropy(logits[:, 1:], truth - 1, ignore_index=-1)
    return F.cross_entropy(logits, truth) + digits + 1 - (shared / union.clamp(min=1)).mean()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Half of the scenes turned and scaled; colours exchanged and inverted, contrast and brightness changed; noise."""
    images, masks = _turned(batch.inputs["image"], batch.targets[MASK], generator)
    return batch._replace(inputs={"image": recolored(images, generator)}, targets={**batch.targets, MASK: masks})


def _turned(images: Tensor, masks: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) and masks (N, H, W), half of them turned and scaled around the centre and mirrored beyond."""
    count = len(images)
    angle, across, down = (2 * torch.rand(3, count, generator=generator) - 1).unbind()
    chosen = (torch.rand(count, generator=generator) < 0.5).float()
    angle = chosen * angle * math.radians(_DEGREES)
    wide, high = 1 + chosen * across * _SCALE, 1 + chosen * down * _SCALE
    nothing = torch.zeros(count)
    rows = [angle.cos() * wide, -angle.sin() * high, nothing, angle.sin() * wide, angle.cos() * high, nothing]
    grid = F.affine_grid(torch.stack(rows, 1).reshape(count, 2, 3), list(images.shape), align_corners=False)
    labels = masks[:, None].float()
    # A pixel belongs to a digit where half of it does, and to the largest label around it.
    layers = torch.cat([images, (labels > 0).float()], 1)
    drawn = F.grid_sample(layers, grid, padding_mode="reflection", align_corners=False)
    near = F.grid_sample(
        F.max_pool2d(labels, 3, 1, 1), grid, mode="nearest", padding_mode="reflection", align_corners=False
    )
    return drawn[:, :3].contiguous(), torch.where(drawn[:, 3] >= 0.5, near[:, 0], 0).to(masks.dtype)


def generate(count: int) -> Samples:
    """Grey scenes with one light square each, whose class is its place."""
    images, masks = np.full((count, 3, SIDE, SIDE), 0.4, np.float32), np.zeros((count, SIDE, SIDE), np.uint8)
    for row in range(count):
        label = row % (CLASSES - 1)
        box = slice(3 * label, 3 * label + 16)
        images[row, :, box, box] = 1.0
        masks[row, box, box] = label + 1
    return Samples({"image": images}, targets={MASK: masks})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="segment-digits",
        task=SEGMENTATION,
        summary="U-Net for handwritten digits on photographs",
        inputs=(TensorSpec("image", "float32", ("N", 3, SIDE, SIDE), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", CLASSES, SIDE, SIDE)),),
        sizes={"N": (1, 8)},
        labels=("ground", *map(str, range(CLASSES - 1))),
        preprocessing=ImageInput(SIDE, SIDE),
        postprocessing=SegmentationOutput("logits"),
        metric=Metric("miou", floor=0.9),
        licence="CC BY-SA 3.0",
    ),
    build=build,
    location="edgekit.train.models.objects.segment_digits:build",
    data=masked_scenes,
    dataset="mnist",
    options=TrainOptions(
        epochs=20,
        batch_size=32,
        learning_rate=4e-3,
        weight_decay=1e-2,
        schedule="one-cycle",
        average=0.998,
        clip=10.0,
        channels_last=True,
        threads=1,
    ),
    losses=(loss,),
    augment=augment,
    generate=generate,
    terms=f"terms of cifar10: {TERMS}",
)
