"""Draws what a detector found onto the image that the model was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.reports.run import DetectedObject
from edgekit.core.system.optional import need

# Small images are enlarged by a whole number to at least this width, so that labels can be read; lines and labels grow
# with images that are wider than the larger width.
_WIDTH: Final = 480
_WIDE: Final = 960
_FONT_PX: Final = 14
_LINE_PX: Final = 2
# Told apart with most kinds of colour blindness (Okabe and Ito 2008).
COLORS: Final = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")


def drawn(pixels: NDArray[np.uint8], objects: Sequence[DetectedObject]) -> NDArray[np.uint8]:
    """The image (H, W, 1) or (H, W, 3), enlarged if it is small, with a box and a label for each object: (H, W, 3).

    The best object is drawn last, above the others. A class has one colour in every image.
    """
    image, scale = enlarged(pixels)
    canvas = need("PIL.ImageDraw", extra="images").Draw(image)
    for one in reversed(objects):
        _draw(canvas, one, scale, max(1.0, image.width / _WIDE))
    return np.asarray(image)


def enlarged(pixels: NDArray[np.uint8]) -> tuple[Any, int]:
    """The image in colour by Pillow, and the whole number by which it was enlarged so that labels can be read."""
    image_module = need("PIL.Image", extra="images")
    scale = max(1, -(-_WIDTH // pixels.shape[1]))
    image = image_module.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy())
    return image.resize((image.width * scale, image.height * scale), image_module.Resampling.NEAREST), scale


def _draw(canvas: Any, one: DetectedObject, scale: int, growth: float) -> None:
    left, top, right, bottom = (round(scale * edge) for edge in one.box)
    size, line = round(growth * _FONT_PX), round(growth * _LINE_PX)
    color = COLORS[sum(one.label.encode()) % len(COLORS)]
    canvas.rectangle((left, top, max(left, right), max(top, bottom)), outline=color, width=line)
    text = f"{one.label} {100 * one.score:.0f} %"
    font = need("PIL.ImageFont", extra="images").load_default(size)
    above = max(0, top - size - 4)
    canvas.rectangle(canvas.textbbox((left + line, above), text, font=font), fill=color)
    canvas.text((left + line, above), text, fill="black", font=font)
