"""Draws the classes that a network found at each place over the image that it was given, with a legend."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.reports.run import MaskShare
from edgekit.core.statistics.mask_overlap import IGNORED
from edgekit.core.system.optional import need

# Small images are enlarged by a whole number to at least this width, so that the legend can be read.
_WIDTH: Final = 480
_FONT_PX: Final = 14
_ROW_PX: Final = 20
_SHOWN: Final = 20
_STRENGTH: Final = 0.6
# The first class is the ground of most networks: it is darkened. The others are told apart with most kinds of colour
# blindness (Okabe and Ito 2008); further ones differ in hue.
_COLORS: Final = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
    (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
_GOLDEN: Final = 0.618034


def overlaid(pixels: NDArray[np.uint8], mask: NDArray[np.uint8], classes: Sequence[MaskShare]) -> NDArray[np.uint8]:
    """The image (H, W, 1) or (H, W, 3) under the colours of its mask (H, W), enlarged if small: RGB, with the legend.

    A class has one colour in every image; places that are `IGNORED` have none.
    """
    image_module = need("PIL.Image", extra="images")
    colors = np.array([color_of(index) for index in range(int(mask.max()) + 1)], np.float32)
    whole = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).astype(np.float32)
    strength = np.where(mask == IGNORED, 0, _STRENGTH)[..., None]
    mixed = (1 - strength) * whole + strength * colors[mask]
    image = image_module.fromarray(np.round(mixed).astype(np.uint8))
    scale = max(1, -(-_WIDTH // image.width))
    image = image.resize((image.width * scale, image.height * scale), image_module.Resampling.NEAREST)
    return np.concatenate([np.asarray(image), _legend(classes, image.width)])


def color_of(index: int) -> tuple[int, int, int]:
    """The colour of a class."""
    if index < len(_COLORS):
        return _COLORS[index]
    red, green, blue = colorsys.hsv_to_rgb(index * _GOLDEN % 1, 0.75, 0.85)
    return round(255 * red), round(255 * green), round(255 * blue)


def _legend(classes: Sequence[MaskShare], width: int) -> NDArray[np.uint8]:
    """A row for each class on white."""
    image_module, draw_module = need("PIL.Image", extra="images"), need("PIL.ImageDraw", extra="images")
    font = need("PIL.ImageFont", extra="images").load_default(_FONT_PX)
    shown = classes[:_SHOWN]
    image = image_module.new("RGB", (width, _ROW_PX * len(shown) + 4), "white")
    canvas = draw_module.Draw(image)
    for row, one in enumerate(shown):
        top = 2 + _ROW_PX * row
        canvas.rectangle((4, top + 3, 18, top + 17), fill=color_of(one.number), outline="black")
        canvas.text((26, top + 1), f"{one.label}  {100 * one.share:.1f} %", fill="black", font=font)
    return np.asarray(image)
