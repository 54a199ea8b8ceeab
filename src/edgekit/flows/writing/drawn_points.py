"""Draws the points that a network found onto the image that it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.reports.run import Keypoint
from edgekit.core.system.optional import need
from edgekit.flows.writing.drawn_objects import COLORS, enlarged

_RADIUS_PX: Final = 4
_FONT_PX: Final = 12


def with_points(pixels: NDArray[np.uint8], points: Sequence[Keypoint]) -> NDArray[np.uint8]:
    """The image (H, W, 1) or (H, W, 3), enlarged if it is small, with a dot and a label at each point: (H, W, 3)."""
    image, scale = enlarged(pixels)
    canvas = need("PIL.ImageDraw", extra="images").Draw(image)
    font = need("PIL.ImageFont", extra="images").load_default(_FONT_PX)
    for place, one in enumerate(points):
        # The centre of the pixel.
        x, y = ((value + 0.5) * scale for value in (one.x, one.y))
        box = (x - _RADIUS_PX, y - _RADIUS_PX, x + _RADIUS_PX, y + _RADIUS_PX)
        canvas.ellipse(box, fill=COLORS[place % len(COLORS)], outline="black")
        canvas.text(
            (x + _RADIUS_PX + 2, y - _FONT_PX), one.label, fill="white", font=font, stroke_width=1, stroke_fill="black"
        )
    return np.asarray(image)
