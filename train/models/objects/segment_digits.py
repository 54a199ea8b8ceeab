"""segment-digits: a small U-Net (Ronneberger et al. 2015) that says which handwritten digit each pixel belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from edgekit.core.samples import Array, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.optional import need
from edgekit.runtime.segmentation import MASK, SEGMENTATION
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.dataset_files import find
from edgekit.train.data.mnist import mnist
from edgekit.train.model import Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions

SIDE = 48
MOST = 2
CLASSES = 11
COUNTS = {"train": 8000, "validation": 300, "test": 1000}
# No photograph is in two of them.
TRAIN_PHOTOS = ("cat_720p.jpg", "owl.jpg", "parrot.jpg", "sunflower.bmp")
VALIDATION_PHOTOS = ("pets.jpg",)
TEST_PHOTOS = ("face.jpg", "hot_dog.jpg", "grace_hopper.bmp")
_HEIGHTS = (26, 40)
_TEXTURE = (80, 300)
# What is left of the contrast of a photograph.
_FADED = (0.2, 0.6)
# The difference of grey values between a stroke and the mean of its ground.
_CONTRAST = 0.35
_TRIES = 20
_PEN = (0.4, 4.0)  # the ink from which on a place is part of the stroke, and how steep its edge is

Pixels = NDArray[np.float32]


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
    """Cross-entropy of all pixels and of those of digits, and 1 minus the mean overlap with probabilities as decisions.

    A digit covers one pixel in ten: the mean over all alone says little of which digit it is.
    """
    logits, truth = learner.model(batch.inputs["image"]).float(), batch.targets[MASK].long()
    hot = F.one_hot(truth, CLASSES).permute(0, 3, 1, 2)  # (B, 11, 48, 48)
    shared = (logits.softmax(1) * hot).sum((0, 2, 3))
    union = logits.softmax(1).sum((0, 2, 3)) + hot.sum((0, 2, 3)) - shared
    digits = F.cross_entropy(logits, torch.where(truth > 0, truth, -1), ignore_index=-1)
    return F.cross_entropy(logits, truth) + digits + 1 - (shared / union.clamp(min=1)).mean()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Colours exchanged and inverted, contrast and brightness changed, and noise."""
    images = batch.inputs["image"]
    count = len(images)
    order = torch.rand(count, 3, generator=generator).argsort(1)
    images = images.gather(1, order[..., None, None].expand_as(images))
    inverted = torch.rand(count, 1, 1, 1, generator=generator) < 0.5
    images = torch.where(inverted, 1 - images, images)
    contrast = 0.7 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    images = (images - 0.5) * contrast + 0.5 + 0.2 * (torch.rand(count, 1, 1, 1, generator=generator) - 0.5)
    images = images + 0.02 * torch.randn(images.shape, generator=generator)
    return batch._replace(inputs={"image": images.clamp(0, 1)})


def digits_on_photos(data: Path | None = None) -> Dataset:
    """8,000 scenes to train, 300 to validate, 1,000 to test; no digit or photograph of the test is in the others."""
    digits, folder = mnist(data), find("photos", (*TRAIN_PHOTOS, *VALIDATION_PHOTOS, *TEST_PHOTOS), data)
    assert digits.validation is not None
    train, validation, test = (
        compose(digits_of, _photos(folder, names), COUNTS[name], seed)
        for seed, (name, digits_of, names) in enumerate(
            [
                ("train", digits.train, TRAIN_PHOTOS),
                ("validation", digits.validation, VALIDATION_PHOTOS),
                ("test", digits.test, TEST_PHOTOS),
            ]
        )
    )
    licence = f"{digits.licence}; photographs: Open Images, CC BY 2.0, and public domain"
    return dataset(train, test, source="digits on photos with masks", licence=licence, validation=validation)


def compose(digits: Samples, photos: Sequence[Pixels], count: int, seed: int) -> Samples:
    """Scenes of one or two digits; each digit is drawn once before any is drawn again.

    Args:
        digits: Images (S, 1, 28, 28) from 0 to 1, with labels.
        photos: Photographs (H, W, 3) from 0 to 1, the shorter side at least 80.

    Returns:
        Images (count, 3, 48, 48) from 0 to 1, and `mask` (count, 48, 48): 0 for the ground, 1 to 10 for digits 0 to 9.
    """
    rng = np.random.default_rng(seed)
    assert digits.labels is not None
    order = _without_end(len(digits), rng)
    images, masks = np.empty((count, 3, SIDE, SIDE), np.float32), np.zeros((count, SIDE, SIDE), np.uint8)
    for row in range(count):
        canvas = _ground(photos[int(rng.integers(len(photos)))], rng)
        for _ in range(int(rng.integers(1, MOST + 1))):
            place = next(order)
            _draw(canvas, masks[row], digits.inputs["image"][place, 0], int(digits.labels[place]), rng)
        images[row] = canvas.transpose(2, 0, 1)
    return Samples({"image": images}, targets={MASK: masks})


def _photos(folder: Path, names: Sequence[str]) -> list[Pixels]:
    image_module = need("PIL.Image", extra="images")
    found = []
    for name in names:
        with image_module.open(folder / name) as image:
            found.append(np.asarray(image.convert("RGB"), np.float32) / np.float32(255))
    return found


def _without_end(count: int, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from map(int, rng.permutation(count))


def _ground(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A square of the photograph, turned, faded, and darkened or lightened."""
    side = int(rng.integers(_TEXTURE[0], min(_TEXTURE[1], *photo.shape[:2]) + 1))
    top, left = (int(rng.integers(0, size - side + 1)) for size in photo.shape[:2])
    square = np.rot90(_resized(photo[top : top + side, left : left + side], SIDE, SIDE), int(rng.integers(4)))
    mean = square.mean(axis=(0, 1))
    faded = mean + (square - mean) * rng.uniform(*_FADED) + rng.uniform(-0.2, 0.2)
    return np.asarray(np.clip(faded, 0, 1), np.float32)


def _draw(canvas: Pixels, mask: NDArray[np.uint8], digit: Array, label: int, rng: np.random.Generator) -> None:
    """Draw one digit and its mask where the box around it covers no other, if a place is found."""
    ink = _trimmed(np.asarray(digit, np.float32))
    height = int(rng.integers(_HEIGHTS[0], _HEIGHTS[1] + 1))
    width = max(4, min(SIDE, round(height * ink.shape[1] / ink.shape[0])))
    for _ in range(_TRIES):
        top, left = (int(rng.integers(0, SIDE - size + 1)) for size in (height, width))
        box = slice(top, top + height), slice(left, left + width)
        if not mask[box].any():
            pen, steepness = _PEN
            share = np.clip((_resized(ink, width, height) - pen) * steepness + 0.5, 0, 1)[..., None]
            canvas[box] = (1 - share) * canvas[box] + share * _color(canvas[box], rng)
            mask[box][share[..., 0] >= 0.5] = label + 1
            return


def _trimmed(digit: Pixels) -> Pixels:
    rows, columns = (np.flatnonzero((digit > _PEN[0]).any(axis=axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _color(region: Pixels, rng: np.random.Generator) -> Pixels:
    """A colour that is lighter or darker than the mean of the ground."""
    mean = float(region.mean())
    while True:
        color = rng.random(3)
        if abs(float(color.mean()) - mean) >= _CONTRAST:
            return color.astype(np.float32)


def _resized(pixels: Any, width: int, height: int) -> Pixels:
    image_module = need("PIL.Image", extra="images")
    image = image_module.fromarray(np.round(pixels * 255).astype(np.uint8))
    return np.asarray(image.resize((width, height), image_module.Resampling.BILINEAR), np.float32) / np.float32(255)


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
    data=digits_on_photos,
    dataset="mnist",
    options=TrainOptions(
        epochs=20,
        batch_size=32,
        learning_rate=4e-3,
        weight_decay=1e-2,
        schedule="one-cycle",
        average=0.99,
        clip=10.0,
        precision="bf16-mixed",
        channels_last=True,
        threads=1,
    ),
    losses=(loss,),
    augment=augment,
    generate=generate,
)
