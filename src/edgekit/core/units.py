"""Units: text to SI and back. All values in edgekit are SI; other units exist only here and in renderings."""

from __future__ import annotations

import math
import re
from typing import Final

from edgekit.core.errors import UserError, unknown

# Factor to the SI unit, by dimension.
# Two characters look like the micro sign: U+00B5, on keyboards, and the Greek letter U+03BC.
TIME_S: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9}
SIZE_BYTES: Final = {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024.0, "MiB": 1024.0**2, "GiB": 1024.0**3}
RATIO: Final = {"": 1.0, "%": 0.01, "pt": 0.01}
POINTS: Final = {"pt": 0.01, "%": 0.01, "": 0.01}
NUMBER: Final = {"": 1.0}
PER_SECOND: Final = {"/s": 1.0, "": 1.0}
DECIBEL: Final = {"dB": 1.0}

_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\s\d]*)\s*")

ABSENT: Final = "–"
# Largest first: the first scale that a value reaches is taken, the last one for all below.
_SCALES: Final = {
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)),
    "J": (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6)),
    "1/s": (("/s", 1.0),),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
}
# Factor, suffix and decimals of units whose digits do not depend on the value.
_FIXED: Final = {"ratio": (0.01, " %", 2), "points": (0.01, " pt", 2), "dB": (1.0, " dB", 1)}
# More points than this are a mistake unless they have a unit.
_MOST_BARE_POINTS: Final = 10
_MOST_DECIMALS: Final = 6


def parse_quantity(text: str, units: dict[str, float]) -> float:
    """The SI value of a text such as `8 ms`.

    Raises:
        UserError: The text is not a finite number, or its unit is not in `units`.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        raise UserError(f"'{text}' is not a number with a unit, e.g. '8 {next(filter(None, units))}'.")
    number, unit = match.groups()
    if unit not in units:
        raise unknown("unit", unit, [name for name in units if name], hint=f"'8 {next(filter(None, units))}'")
    return float(number) * units[unit]


def parse_points(text: str) -> float:
    """The share of 1 of a loss in points, such as `0.5 pt`; `0.5 %` and `0.5` mean the same.

    Raises:
        UserError: Not a number, another unit, 100 points or more, or a high value without a unit.
    """
    share = parse_quantity(text, POINTS)
    if not 0 <= share < 1:
        raise UserError(f"expected at least 0 and less than 100 pt, got '{text}'.", hint="0.5 pt")
    if text.strip()[-1].isdigit() and share > _MOST_BARE_POINTS / 100:
        raise UserError(f"'{text}' has no unit and is more than {_MOST_BARE_POINTS} points: write '{text.strip()} pt'.")
    return share


def format_value(value: float | None, unit: str, *, low: float | None = None, high: float | None = None) -> str:
    """A value for people: `3.31 ms`, `58.0 kB`, `99.17 %`, `-0.28 pt`, `41.2 dB`; a missing one is a dash.

    A narrow interval adds one digit: `3.310 ms`.
    """
    if value is None or not math.isfinite(value):
        return ABSENT
    factor, suffix, decimals = _scale(value, low, high, unit)
    return f"{_number(value, factor, decimals)}{suffix}"


def format_interval(
    value: float | None, low: float | None, high: float | None, unit: str, *, form: str = "[{}, {}]"
) -> str:
    """The interval in the scale of the value, without a unit: `[3.28, 3.35]`; empty if there is none."""
    if value is None or low is None or high is None or low == high:
        return ""
    factor, _, decimals = _scale(value, low, high, unit)
    return form.format(_number(low, factor, decimals), _number(high, factor, decimals))


def format_figure(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    """A value and its interval: `3.31 ms [3.28, 3.35]`; only the value if there is no interval."""
    return f"{format_value(value, unit, low=low, high=high)} {format_interval(value, low, high, unit)}".rstrip()


def format_like(value: float | None, like: float | None, unit: str) -> str:
    """A value in the scale of another one: `0.102 ms` next to `1.10 ms`."""
    if value is None or like is None or unit not in _SCALES:
        return format_value(value, unit)
    factor, suffix, _ = _scale(like, None, None, unit)
    return f"{_number(value, factor, _decimals(value, None, None, factor))}{suffix}"


def format_tick(value: float, unit: str) -> str:
    """A round value on an axis, as short as possible: `2 ms`, `97.5 %`."""
    if value == 0:
        return "0"
    factor, suffix, _ = _scale(value, None, None, unit)
    return f"{float(f'{value / factor:.4g}'):g}{suffix}"


def _scale(value: float, low: float | None, high: float | None, unit: str) -> tuple[float, str, int | None]:
    """Factor, suffix and decimals that value and interval share; no decimals means four significant digits."""
    if unit in _FIXED:
        return _FIXED[unit]
    if unit not in _SCALES:
        return 1.0, "", None
    # 0.9995: what rounds to 1000 of one scale is shown as 1 of the next.
    suffix, factor = next((pair for pair in _SCALES[unit] if abs(value) >= 0.9995 * pair[1]), _SCALES[unit][-1])
    return factor, f" {suffix}", 0 if suffix == "B" else _decimals(value, low, high, factor)


def _decimals(value: float, low: float | None, high: float | None, factor: float) -> int:
    """Three significant digits of the value, one more where the interval spans less than three steps of the last."""
    value = abs(value) / factor
    # The exponent after rounding: 0.9996 is shown as 1.00.
    decimals = max(0, 2 - int(f"{value:.2e}".partition("e")[2])) if value else 0
    if low is None or high is None:
        return min(decimals, _MOST_DECIMALS)
    steps = (high - low) / factor * 10.0**decimals
    return min(decimals + (0 < steps < 3), _MOST_DECIMALS)


def _number(value: float, factor: float, decimals: int | None) -> str:
    text = f"{value / factor:.4g}" if decimals is None else f"{value / factor:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
