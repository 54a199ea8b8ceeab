"""Grounds of scenes: the wider choice goes beyond the colours and shapes of its photographs, the plain one does not."""

from __future__ import annotations

import numpy as np

from edgekit.train.data.scenes.grounds import photo_ground, varied_ground
from edgekit.train.data.scenes.scene_parts import Pixels

SIDE = 48
COUNT = 60
GREY = np.repeat(np.random.default_rng(0).random((90, 110, 1)).astype(np.float32), 3, axis=2)


def colored(grounds: Pixels) -> float:
    """The share of grounds with colours."""
    assert grounds.shape == (COUNT, SIDE, SIDE, 3)
    assert grounds.dtype == np.float32
    assert 0 <= grounds.min() < grounds.max() <= 1
    return float((np.ptp(grounds, axis=3).max(axis=(1, 2)) > 0.05).mean())


def varied(picture: Pixels) -> Pixels:
    rng = np.random.default_rng(1)
    return np.stack([varied_ground([GREY], [picture], SIDE, rng) for _ in range(COUNT)])


def test_a_grey_photograph_gives_colours_in_the_wider_choice_alone() -> None:
    rng = np.random.default_rng(1)
    plain = np.stack([photo_ground([GREY], SIDE, rng) for _ in range(COUNT)])

    assert colored(plain) == 0
    assert 0.3 < colored(varied(np.full((32, 32, 3), 0.5, np.float32))) < 0.9


def test_small_pictures_are_seen_in_most_grounds_of_the_wider_choice() -> None:
    flat, striped = np.zeros((32, 32, 3), np.float32), np.zeros((32, 32, 3), np.float32)
    striped[:, ::2] = 1

    same = (varied(flat) == varied(striped)).all(axis=(1, 2, 3))

    assert 0.05 < same.mean() < 0.5
