"""Scenes of digits: boxes are where the ink is, and the same seed gives the same scene."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import Samples
from edgekit.core.statistics.average_precision import overlaps
from edgekit.runtime.detection import OBJECTS, objects_of
from edgekit.train.data.scenes.boxed_scenes import MOST, SIDE, compose

COUNT = 20


def digits() -> Samples:
    """Filled rectangles instead of digits, so that every pixel of a box is ink."""
    images = np.zeros((12, 1, 28, 28), np.float32)
    for row in range(len(images)):
        images[row, 0, 4:24, 6 : 12 + row] = 1.0
    return Samples({"image": images}, np.arange(12, dtype=np.int64) % 10)


def test_boxes_are_where_the_ink_is_and_cover_little_of_each_other() -> None:
    grey = np.full((100, 120, 3), 0.5, np.float32)

    found = compose(digits(), [grey], COUNT, seed=3)

    counts = []
    for image, objects in zip(found.inputs["image"], objects_of(found.targets[OBJECTS]), strict=True):
        inside = np.zeros((SIDE, SIDE), bool)
        for left, top, right, bottom in objects.boxes.astype(int):
            inside[top:bottom, left:right] = True
        assert inside.any()
        ground = image[:, ~inside]
        assert float(np.ptp(ground)) == 0.0
        assert (np.abs(image[:, inside] - ground[:, :1]).max(axis=0) > 0).mean() > 0.95
        shared = overlaps(objects.boxes, objects.boxes)
        np.fill_diagonal(shared, 0)
        assert shared.max() <= 0.1
        counts.append(len(objects.boxes))
    assert min(counts) >= 1
    assert max(counts) > 3
    assert max(counts) <= MOST


def test_a_seed_decides_everything() -> None:
    photo = np.random.default_rng(0).random((90, 110, 3)).astype(np.float32)

    first, second, other = (compose(digits(), [photo], 4, seed) for seed in (1, 1, 2))

    assert first.digest() == second.digest() != other.digest()
