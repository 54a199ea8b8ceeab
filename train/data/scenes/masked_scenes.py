"""Scenes with masks: one or two handwritten digits of MNIST on faded photographs, and the digit of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array, Samples
from edgekit.runtime.segmentation import MASK
from edgekit.train.data.cifar import TERMS, cifar10
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.dataset_files import find
from edgekit.train.data.mnist import mnist
from edgekit.train.data.scenes.grounds import photo_ground, varied_ground
from edgekit.train.data.scenes.scene_parts import (
    LICENCE,
    Pixels,
    color_on,
    drawn_in_turn,
    photographs,
    resized,
    trimmed,
)

SIDE: Final = 48
MOST: Final = 2
COUNTS: Final = {"train": 24000, "validation": 500, "test": 1000}
# No photograph is in two of them.
TRAIN_PHOTOS: Final = ("cat_720p.jpg", "parrot.jpg", "sunflower.bmp")
VALIDATION_PHOTOS: Final = ("owl.jpg", "pets.jpg")
TEST_PHOTOS: Final = ("face.jpg", "hot_dog.jpg", "grace_hopper.bmp")
# The share of training scenes with grounds of the wider choice.
_VARIED: Final = 0.75
# Of CIFAR-10; where its files are sorted by class, they show the first five classes alone.
_SMALL_PICTURES: Final = 20_000
_HEIGHTS: Final = (26, 40)
# The difference of grey values between a stroke and the mean of its ground.
_CONTRAST: Final = 0.35
_TRIES: Final = 20
_PEN: Final = (0.4, 4.0)  # the ink from which on a place is part of the stroke, and how steep its edge is


def masked_scenes(data: Path | None = None) -> Dataset:
    """24,000 scenes to train, 500 to validate, 1,000 to test; no digit or photograph of the test is in the others."""
    pictures = _small_pictures(data)
    digits, folder = mnist(data), find("photos", (*TRAIN_PHOTOS, *VALIDATION_PHOTOS, *TEST_PHOTOS), data)
    assert digits.validation is not None
    train, validation, test = (
        compose(digits_of, photographs(folder, names), COUNTS[name], seed, pictures if name == "train" else ())
        for seed, (name, digits_of, names) in enumerate(
            [
                ("train", digits.train, TRAIN_PHOTOS),
                ("validation", digits.validation, VALIDATION_PHOTOS),
                ("test", digits.test, TEST_PHOTOS),
            ]
        )
    )
    licence = f"{digits.licence}; {LICENCE}; {TERMS}"
    return dataset(train, test, source="digits on photos with masks", licence=licence, validation=validation)


def _small_pictures(data: Path | None) -> list[Pixels]:
    """Pictures (32, 32, 3) of the training images of CIFAR-10."""
    images = cifar10(data).train.inputs["image"][:_SMALL_PICTURES]
    return list(images.transpose(0, 2, 3, 1))


def compose(
    digits: Samples, photos: Sequence[Pixels], count: int, seed: int, small_pictures: Sequence[Pixels] = ()
) -> Samples:
    """Scenes of one or two digits; each digit is drawn once before any is drawn again.

    Args:
        digits: Images (S, 1, 28, 28) from 0 to 1, with labels.
        photos: Photographs (H, W, 3) from 0 to 1, the shorter side at least 80.
        small_pictures: As of `varied_ground`; with them most scenes have grounds of a wider choice.

    Returns:
        Images (count, 3, 48, 48) from 0 to 1, and `mask` (count, 48, 48): 0 for the ground, 1 to 10 for digits 0 to 9.
    """
    rng = np.random.default_rng(seed)
    assert digits.labels is not None
    order = drawn_in_turn(len(digits), rng)
    images, masks = np.empty((count, 3, SIDE, SIDE), np.float32), np.zeros((count, SIDE, SIDE), np.uint8)
    for row in range(count):
        canvas = _ground(photos, small_pictures, rng)
        for _ in range(int(rng.integers(1, MOST + 1))):
            place = next(order)
            _draw(canvas, masks[row], digits.inputs["image"][place, 0], int(digits.labels[place]), rng)
        images[row] = canvas.transpose(2, 0, 1)
    return Samples({"image": images}, targets={MASK: masks})


def _ground(photos: Sequence[Pixels], small_pictures: Sequence[Pixels], rng: np.random.Generator) -> Pixels:
    if small_pictures and rng.random() < _VARIED:
        return varied_ground(photos, small_pictures, SIDE, rng)
    return photo_ground(photos, SIDE, rng)


def _draw(canvas: Pixels, mask: NDArray[np.uint8], digit: Array, label: int, rng: np.random.Generator) -> None:
    """Draw one digit and its mask where the box around it covers no other, if a place is found."""
    ink = trimmed(np.asarray(digit, np.float32), _PEN[0])
    height = int(rng.integers(_HEIGHTS[0], _HEIGHTS[1] + 1))
    width = max(4, min(SIDE, round(height * ink.shape[1] / ink.shape[0])))
    for _ in range(_TRIES):
        top, left = (int(rng.integers(0, SIDE - size + 1)) for size in (height, width))
        box = slice(top, top + height), slice(left, left + width)
        if not mask[box].any():
            pen, steepness = _PEN
            share = np.clip((resized(ink, width, height) - pen) * steepness + 0.5, 0, 1)[..., None]
            canvas[box] = (1 - share) * canvas[box] + share * color_on(canvas[box], _CONTRAST, rng)
            mask[box][share[..., 0] >= 0.5] = label + 1
            return
