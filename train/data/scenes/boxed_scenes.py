"""Scenes: handwritten digits of MNIST in colour, on textures cut from photographs, with their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array, Samples
from edgekit.core.statistics.average_precision import overlaps
from edgekit.runtime.detection import OBJECTS
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.dataset_files import find
from edgekit.train.data.mnist import mnist
from edgekit.train.data.scenes.scene_parts import (
    LICENCE,
    Pixels,
    color_on,
    drawn_in_turn,
    photographs,
    resized,
    square_of,
    trimmed,
)

SIDE: Final = 96
MOST: Final = 6
# Photographs whose textures the test scenes have alone.
TRAIN_PHOTOS: Final = ("cat_720p.jpg", "owl.jpg", "parrot.jpg", "pets.jpg", "sunflower.bmp")
TEST_PHOTOS: Final = ("face.jpg", "hot_dog.jpg", "grace_hopper.bmp")
COUNTS: Final = {"train": 15000, "validation": 500, "test": 1000}
_LEAST, _LARGEST = 16, 40
# Two digits may cover this share of each other, and their strokes this share of a grey value apart from the ground.
_OVERLAP: Final = 0.1
_CONTRAST: Final = 0.3
_INK: Final = 0.25
_TRIES: Final = 20


def boxed_scenes(data: Path | None = None) -> Dataset:
    """15,000 scenes for training, 500 for validation and 1,000 for testing, of digits and photographs of its own."""
    digits, folder = mnist(data), find("photos", (*TRAIN_PHOTOS, *TEST_PHOTOS), data)
    assert digits.validation is not None
    seen, held_back = (photographs(folder, names) for names in (TRAIN_PHOTOS, TEST_PHOTOS))
    train, validation, test = (
        compose(digits_of, photos, COUNTS[name], seed)
        for seed, (name, digits_of, photos) in enumerate(
            [("train", digits.train, seen), ("validation", digits.validation, seen), ("test", digits.test, held_back)]
        )
    )
    licence = f"{digits.licence}; {LICENCE}"
    return dataset(train, test, source="scenes of mnist and photos", licence=licence, validation=validation)


def compose(digits: Samples, photos: Sequence[Pixels], count: int, seed: int) -> Samples:
    """Scenes of one to six digits, each drawn once before any is drawn again.

    Args:
        digits: Images (S, 1, 28, 28) from 0 to 1, with labels.
        photos: Photographs (H, W, 3) from 0 to 1, the shorter side at least 80.

    Returns:
        Images (count, 3, 96, 96) from 0 to 1, and `objects` (count, 6, 6).
    """
    rng = np.random.default_rng(seed)
    labels = digits.labels
    assert labels is not None
    order = drawn_in_turn(len(digits), rng)
    images = np.empty((count, 3, SIDE, SIDE), np.float32)
    objects = np.tile(np.array([0, 0, 0, 0, -1, 0], np.float32), (count, MOST, 1))
    for row in range(count):
        canvas = _ground(photos[int(rng.integers(len(photos)))], rng)
        boxes: list[NDArray[np.float64]] = []
        for _ in range(int(rng.integers(1, MOST + 1))):
            place = next(order)
            box = _drawn(canvas, digits.inputs["image"][place, 0], boxes, rng)
            if box is not None:
                objects[row, len(boxes)] = [*box, labels[place], 0]
                boxes.append(box)
        images[row] = canvas.transpose(2, 0, 1)
    return Samples({"image": images}, targets={OBJECTS: objects})


def _ground(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A square of the photograph, darkened or lightened."""
    square = square_of(photo, SIDE, rng)
    lit: Pixels = np.clip(square * rng.uniform(0.5, 1.2) + rng.uniform(-0.1, 0.2), 0, 1).astype(np.float32)
    return lit


def _drawn(
    canvas: Pixels, digit: Array, boxes: Sequence[NDArray[np.float64]], rng: np.random.Generator
) -> NDArray[np.float64] | None:
    """Draw one digit where it covers little of the others; its box, or None if no place was found."""
    ink = trimmed(np.asarray(digit, np.float32), _INK)
    height = int(rng.integers(_LEAST, _LARGEST + 1))
    width = max(4, min(_LARGEST, round(height * ink.shape[1] / ink.shape[0])))
    for _ in range(_TRIES):
        top, left = (int(rng.integers(0, SIDE - size + 1)) for size in (height, width))
        box = np.array([left, top, left + width, top + height], np.float64)
        if not boxes or overlaps(box[None], np.stack(boxes)).max() <= _OVERLAP:
            region = canvas[top : top + height, left : left + width]
            share = np.clip(resized(ink, width, height), 0, 1)[..., None]
            region[:] = (1 - share) * region + share * color_on(region, _CONTRAST, rng)
            return box
    return None
