"""Ranges that a network has learned: limits of a tensor in the float file whose ends are steps of int8.

`train/qat` writes them. A limit with such ends and the rounding to 256 steps between them saturate alike, so that the
quantizer can replace one with the other, wherever the limit came from.
"""

from __future__ import annotations

import math
from typing import Final

Range = tuple[float, float]
_STEPS: Final = 255
# Bits of a learned scale: with them, scales are found again from the ends without rounding.
_BITS: Final = 16


def is_learned(low: float, high: float) -> bool:
    """Whether the ends are whole numbers of steps around zero, and the step has 16 bits."""
    if not (math.isfinite(low) and math.isfinite(high) and low <= 0 <= high and low < high):
        return False
    step = (high - low) / _STEPS
    mantissa, _ = math.frexp(step)
    return (mantissa * 2**_BITS).is_integer() and (low / step).is_integer()
