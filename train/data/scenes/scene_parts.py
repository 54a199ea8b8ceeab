"""What scenes are made of: squares of photographs, and handwritten digits in a colour that is seen on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.system.optional import need

LICENCE: Final = "photographs: Open Images, CC BY 2.0, and public domain"
# How many pixels of a photograph become the side of a scene.
_SQUARE: Final = (80, 300)

Pixels = NDArray[np.float32]


def photographs(folder: Path, names: Sequence[str]) -> list[Pixels]:
    """Photographs (H, W, 3) from 0 to 1."""
    image_module = need("PIL.Image", extra="images")
    found: list[Pixels] = []
    for name in names:
        with image_module.open(folder / name) as image:
            found.append(np.asarray(image.convert("RGB"), np.float32) / np.float32(255))
    return found


def drawn_in_turn(count: int, rng: np.random.Generator) -> Iterator[int]:
    """Numbers below `count` without end, in random order: each once before any comes again."""
    while True:
        yield from map(int, rng.permutation(count))


def square_of(photo: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A random square of a photograph whose shorter side is at least 80, as (side, side, 3)."""
    width = int(rng.integers(_SQUARE[0], min(_SQUARE[1], *photo.shape[:2]) + 1))
    top, left = (int(rng.integers(0, size - width + 1)) for size in photo.shape[:2])
    return resized(photo[top : top + width, left : left + width], side, side)


def trimmed(digit: Pixels, ink: float) -> Pixels:
    """A digit without the rows and columns around it that have at most this much ink."""
    rows, columns = (np.flatnonzero((digit > ink).any(axis=axis)) for axis in (1, 0))
    return digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def color_on(region: Pixels, contrast: float, rng: np.random.Generator) -> Pixels:
    """A colour whose grey value differs by at least `contrast` from the mean of the ground."""
    mean = float(region.mean())
    while True:
        color = rng.random(3)
        if abs(float(color.mean()) - mean) >= contrast:
            return color.astype(np.float32)


def resized(pixels: Any, width: int, height: int) -> Pixels:
    """Values from 0 to 1 in another size, as 8 bits, bilinearly."""
    image_module = need("PIL.Image", extra="images")
    image = image_module.fromarray(np.round(pixels * 255).astype(np.uint8))
    return np.asarray(image.resize((width, height), image_module.Resampling.BILINEAR), np.float32) / np.float32(255)
