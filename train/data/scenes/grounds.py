"""Grounds of scenes: squares of photographs as the test has them, and a wider choice for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from edgekit.train.data.scenes.scene_parts import Pixels, resized, square_of

# What is left of the contrast of a photograph, and in the wider choice.
_FADED: Final = (0.2, 0.6)
_FADED_WIDE: Final = (0.1, 1.0)
_SHIFT: Final = 0.2
# The shares of photographs, of two photographs mixed, and of photographs mixed with a drawn texture; the rest is drawn.
_PHOTO, _TWO, _HALF_DRAWN = 0.45, 0.2, 0.15
# The share of small pictures among those of the wider choice, and how many of their pixels become the side.
_SMALL: Final = 0.7
_LEAST_WIDTH: Final = 20
_MOST_BANDS: Final = 8
_MOST_PATCHES: Final = 6


def photo_ground(photos: Sequence[Pixels], side: int, rng: np.random.Generator) -> Pixels:
    """A square of a photograph (side, side, 3), turned, faded, and darkened or lightened."""
    photo = photos[int(rng.integers(len(photos)))]
    return _faded(np.rot90(square_of(photo, side, rng), int(rng.integers(4))), _FADED, rng)


def varied_ground(
    photos: Sequence[Pixels], small_pictures: Sequence[Pixels], side: int, rng: np.random.Generator
) -> Pixels:
    """A ground (side, side, 3) of a picture, of two, or drawn; mirrored, turned, and of any colours and contrast.

    Args:
        photos: Photographs (H, W, 3) from 0 to 1, the shorter side at least 80.
        small_pictures: Pictures (H, W, 3) from 0 to 1, each at least 20 wide and high.
    """

    def square() -> Pixels:
        return _square(photos, small_pictures, side, rng)

    kind = float(rng.random())
    if kind < _PHOTO:
        picture = square()
    elif kind < _PHOTO + _TWO:
        picture = _mixed(square(), square(), rng)
    elif kind < _PHOTO + _TWO + _HALF_DRAWN:
        picture = _mixed(square(), _drawn(side, rng), rng)
    else:
        picture = _drawn(side, rng)
    return _faded(picture, _FADED_WIDE, rng)


def _faded(picture: Pixels, contrast: tuple[float, float], rng: np.random.Generator) -> Pixels:
    mean = picture.mean(axis=(0, 1))
    faded = mean + (picture - mean) * rng.uniform(*contrast) + rng.uniform(-_SHIFT, _SHIFT)
    return np.asarray(np.clip(faded, 0, 1), np.float32)


def _square(photos: Sequence[Pixels], small_pictures: Sequence[Pixels], side: int, rng: np.random.Generator) -> Pixels:
    """A square of a picture, mirrored, turned, and with its colours turned into others."""
    if small_pictures and rng.random() < _SMALL:
        square = _enlarged(small_pictures[int(rng.integers(len(small_pictures)))], side, rng)
    else:
        square = square_of(photos[int(rng.integers(len(photos)))], side, rng)
    square = np.rot90(square, int(rng.integers(4)))
    if rng.random() < 0.5:
        square = square[:, ::-1]
    if rng.random() < 0.5:
        square = _recombined(square, rng)
    return square


def _enlarged(picture: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    width = int(rng.integers(_LEAST_WIDTH, min(picture.shape[:2]) + 1))
    top, left = (int(rng.integers(0, size - width + 1)) for size in picture.shape[:2])
    return resized(picture[top : top + width, left : left + width], side, side)


def _recombined(square: Pixels, rng: np.random.Generator) -> Pixels:
    """Each colour becomes a mean of all three with weights of its own."""
    weights = rng.dirichlet(np.full(3, 0.5), size=3)
    return np.asarray(square @ weights.T, np.float32)


def _mixed(first: Pixels, second: Pixels, rng: np.random.Generator) -> Pixels:
    """Two pictures blended, or one on each side of a soft edge."""
    if rng.random() < 0.5:
        share = np.float32(rng.uniform(0.3, 0.7))
        return share * first + (1 - share) * second
    edge = np.clip(_ramp(len(first), rng) * rng.uniform(2, 20) + rng.uniform(-1, 1), -1, 1)[..., None] / 2 + 0.5
    return np.asarray(edge * first + (1 - edge) * second, np.float32)


def _ramp(side: int, rng: np.random.Generator) -> Pixels:
    """Values (side, side) that grow in a random direction, from about -1 to 1."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    return np.asarray(np.cos(angle) * x + np.sin(angle) * y, np.float32)


def _drawn(side: int, rng: np.random.Generator) -> Pixels:
    """A texture between two to four colours: clouds, bands or patches."""
    field = (_clouds, _bands, _patches)[int(rng.integers(3))](side, rng)  # from 0 to 1
    colors = rng.random((int(rng.integers(2, 5)), 3))
    stops = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(field, stops, colors[:, channel]) for channel in range(3)], -1).astype(np.float32)


def _clouds(side: int, rng: np.random.Generator) -> Pixels:
    """Noise of several sizes, each of a weight of its own."""
    total = np.zeros((side, side), np.float32)
    for cells in (2, 4, 8, 16, side):
        total += np.float32(rng.random()) * resized(rng.random((cells, cells)), side, side)
    return np.asarray((total - total.min()) / max(float(np.ptp(total)), 1e-6), np.float32)


def _bands(side: int, rng: np.random.Generator) -> Pixels:
    """Waves in one direction, sharp or soft, bent by clouds."""
    phase = _ramp(side, rng) * rng.uniform(1, _MOST_BANDS) + rng.uniform(0, 2) * _clouds(side, rng)
    return np.asarray(np.clip(np.sin(np.pi * phase) * rng.uniform(0.5, 5), -1, 1) / 2 + 0.5, np.float32)


def _patches(side: int, rng: np.random.Generator) -> Pixels:
    """Half planes and discs over each other, on a little noise: edges that are no strokes."""
    field = 0.3 * _clouds(side, rng)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    for _ in range(int(rng.integers(1, _MOST_PATCHES + 1))):
        if rng.random() < 0.5:
            inside = _ramp(side, rng) > rng.uniform(-0.8, 0.8)
        else:
            across, down = rng.uniform(-1, 1, 2)
            inside = np.hypot(x - across, y - down) < rng.uniform(0.1, 0.8)
        field = np.where(inside, 0.3 * field + 0.7 * rng.random(), field)
    return np.asarray(np.clip(field, 0, 1), np.float32)
