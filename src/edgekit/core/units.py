"""Units: text to SI and back. Inside edgekit all values are SI; only here and in rendering do others exist."""

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
COUNT: Final = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
DECIBEL: Final = {"dB": 1.0}

_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*([^\s\d]*)\s*")
_KILO: Final = 1000.0


def parse_quantity(text: str, units: dict[str, float]) -> float:
    """The SI value of a text such as `8 ms`.

    Raises:
        UserError: No finite number, or a unit that is not in `units`.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        raise UserError(f"'{text}' is not a number with a unit, such as '8 {next(filter(None, units))}'.")
    number, unit = match.groups()
    if unit not in units:
        raise unknown("unit", unit, [name for name in units if name], hint=f"'8 {next(filter(None, units))}'")
    return float(number) * units[unit]


def format_value(value: float | None, unit: str) -> str:
    """A value for people: `3.31 ms`, `58.0 kB`, `99.17 %`, `41.2 dB`; an absent one is a dash."""
    if value is None or not math.isfinite(value):
        return "–"
    return _FORMATTERS.get(unit, _plain)(value)


def _seconds(value: float) -> str:
    value = _rounded(value)
    for unit, factor in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(value) >= factor:
            return f"{_digits(value / factor)} {unit}"
    return f"{_digits(value / 1e-9)} ns"


def _bytes(value: float) -> str:
    if abs(value) < _KILO:
        return f"{value:.0f} B"
    value = _rounded(value)
    for unit in ("kB", "MB"):
        value /= _KILO
        if abs(value) < _KILO:
            return f"{_digits(value)} {unit}"
    return f"{_digits(value / _KILO)} GB"


def _rounded(value: float) -> float:
    """Three significant digits, taken before the unit is chosen: 999.96 µs is 1.00 ms."""
    return float(f"{value:.3g}")


def _digits(value: float) -> str:
    """Three significant digits without an exponent."""
    if value == 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(abs(_rounded(value)))))
    return f"{value:.{min(decimals, 6)}f}"


def _plain(value: float) -> str:
    return f"{value:.4g}"


_FORMATTERS: Final = {
    "s": _seconds,
    "bytes": _bytes,
    "ratio": lambda value: f"{100 * value:.2f} %",
    "points": lambda value: f"{100 * value:+.2f} pt",
    "dB": lambda value: f"{value:.1f} dB",
    "1": _plain,
}
