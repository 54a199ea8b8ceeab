"""Scenes with masks: they are where the ink is."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import Samples
from edgekit.runtime.segmentation import MASK
from edgekit.train.data.scenes.masked_scenes import compose
from edgekit.train.data.scenes.scene_parts import Pixels

COUNT = 20


def digits() -> Samples:
    """Filled rectangles instead of digits, so that every pixel of a box is ink."""
    images = np.zeros((12, 1, 28, 28), np.float32)
    for row in range(len(images)):
        images[row, 0, 4:24, 6 : 12 + row] = 1.0
    return Samples({"image": images}, np.arange(12, dtype=np.int64) % 10)


def test_masks_are_where_the_ink_is() -> None:
    grey = np.full((100, 120, 3), 0.5, np.float32)

    found = compose(digits(), [grey], COUNT, seed=3)

    counts = []
    for image, mask in zip(found.inputs["image"], found.targets[MASK], strict=True):
        ground = image[:, mask == 0]
        # The edge of a stroke is mixed with the ground, and less than half of it is no ink.
        assert (np.abs(ground - np.median(ground, axis=1, keepdims=True)).max(axis=0) > 0).mean() < 0.1
        assert (np.abs(image[:, mask > 0] - np.median(ground, axis=1, keepdims=True)).max(axis=0) > 0.1).all()
        counts.append(len(np.unique(mask)) - 1)
    assert min(counts) == 1
    assert max(counts) == 2


def test_a_seed_decides_everything() -> None:
    photo = np.random.default_rng(0).random((90, 110, 3)).astype(np.float32)

    first, second, other = (compose(digits(), [photo], 4, seed) for seed in (1, 1, 2))

    assert first.digest() == second.digest() != other.digest()
    assert (first.targets[MASK] == second.targets[MASK]).all()


def test_with_small_pictures_most_scenes_have_grounds_of_the_wider_choice() -> None:
    grey = np.full((100, 120, 3), 0.5, np.float32)

    def flat(pictures: list[Pixels]) -> int:
        found = compose(digits(), [grey], COUNT, seed=3, small_pictures=pictures)
        inner = zip(found.inputs["image"], found.targets[MASK], strict=True)
        return sum(float(np.median(np.abs(np.diff(image[:, mask == 0], axis=1)))) == 0 for image, mask in inner)

    assert flat([]) == COUNT
    assert 0 < flat([np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)]) < COUNT
