"""Words and numbers for people, the same in every rendering of a report."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Final

from edgekit.core.reports.report import BudgetCheck, Estimate, ParityCheck
from edgekit.core.verdict import Verdict

ABSENT: Final = "–"
VERDICTS: Final = {Verdict.PASS: "pass", Verdict.FAIL: "FAIL", Verdict.INCONCLUSIVE: "INCONCLUSIVE"}

# Largest first: the first scale that a value reaches is taken, the last one for all below.
_SCALES: Final = {
    "s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)),
    "J": (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6)),
    "bytes": (("GB", 1e9), ("MB", 1e6), ("kB", 1e3), ("B", 1.0)),
}
# Factor, suffix and decimals of units whose digits do not depend on the value.
_FIXED: Final = {"ratio": (0.01, " %", 2), "points": (0.01, " pt", 2), "dB": (1.0, " dB", 1)}
_HOSTILE: Final = ("Cc", "Cs", "Zl", "Zp")
# Marks that reorder what follows, and two code points that no XML document may hold.
_MISLEADING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufffe\uffff")


def clean(text: str) -> str:
    """`text` on one line, without control characters, lone surrogates and marks that reorder what follows."""
    return "".join(_shown(mark) for mark in " ".join(text.splitlines()).replace("\t", " "))


def _shown(mark: str) -> str:
    is_hostile = unicodedata.category(mark) in _HOSTILE or mark in _MISLEADING
    return "\N{REPLACEMENT CHARACTER}" if is_hostile else mark


def shortened(text: str, letters: int) -> str:
    """`text` cleaned, and cut to at most `letters` with an ellipsis where it is longer."""
    flat = clean(text)
    return flat if len(flat) <= letters else f"{flat[: letters - 1]}…"


def quantity(estimate: Estimate, unit: str) -> str:
    """The value with its unit: `3.31 ms`; a dash when it is absent."""
    if estimate.value is None or not math.isfinite(estimate.value):
        return ABSENT
    factor, suffix, decimals = _scale(estimate, unit)
    return f"{_number(estimate.value, factor, decimals)}{suffix}"


def interval(estimate: Estimate, unit: str, *, form: str = "[{}, {}]") -> str:
    """The 95 % interval in the scale of the value, without a unit: `[3.28, 3.35]`; empty when there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return ""
    factor, _, decimals = _scale(estimate, unit)
    return form.format(_number(estimate.low, factor, decimals), _number(estimate.high, factor, decimals))


def amount(value: float | None, unit: str) -> str:
    """A value without an interval: `58.1 kB`, `0.28 pt`, `3.2e-05`."""
    return quantity(Estimate(value), unit)


def rate(estimate: Estimate) -> str:
    """A number a second to three digits: `122,000`, `7.41`; a dash when it is absent."""
    if estimate.value is None or not math.isfinite(estimate.value):
        return ABSENT
    value = float(f"{estimate.value:.3g}")
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def instructions(estimate: Estimate) -> str:
    """Counted instructions, each digit of which is certain: `467,729`; a dash when they were not counted."""
    return ABSENT if estimate.value is None else f"{estimate.value:,.0f}"


def tick(value: float, unit: str) -> str:
    """A round value on an axis, as short as it can be: `2 ms`, `97.5 %`."""
    if value == 0:
        return "0"
    factor, suffix, _ = _scale(Estimate(value), unit)
    return f"{float(f'{value / factor:.4g}'):g}{suffix}"


def quality_unit(metric: str) -> str:
    """The unit of a quality metric."""
    return "ratio" if metric == "accuracy" else "1"


def drop_unit(metric: str) -> str:
    """The unit a drop of a quality metric is shown in: points for ratios."""
    return "points" if quality_unit(metric) == "ratio" else "1"


def budget_unit(check: BudgetCheck) -> str:
    """The unit a budget's figure is shown in."""
    return "points" if check.metric == "accuracy.drop" else check.unit


def beyond(check: BudgetCheck) -> str:
    """How far a failed budget was missed, `0.41 ms over`; empty for all others."""
    if check.verdict is not Verdict.FAIL or check.excess is None:
        return ""
    return f"{amount(abs(check.excess), budget_unit(check))} {'over' if check.excess > 0 else 'under'}"


def parity_value(check: ParityCheck) -> str:
    """What a parity check found against its limit: `0.31 (limit 0.05)`."""
    sign = "limit" if check.kind == "difference" else "at least"
    return f"{amount(check.value, check.unit)} ({sign} {amount(check.limit, check.unit)})"


def parity_sample(check: ParityCheck) -> str:
    """The sample that differs most, `sample 7 of 32`, counted from 0 as in the file; empty when unknown."""
    return "" if check.sample is None else f"sample {check.sample} of {check.samples}"


def sizes(values: Mapping[str, int]) -> str:
    """Sizes of free axes: `N=8, T=32`."""
    return ", ".join(f"{axis}={size}" for axis, size in values.items())


def plural(count: int, noun: str) -> str:
    """`1 launch`, `6 launches`."""
    ending = "es" if noun.endswith(("ch", "s", "x")) else "s"
    return f"{count:,} {noun}{'' if count == 1 else ending}"


def _scale(estimate: Estimate, unit: str) -> tuple[float, str, int | None]:
    """Factor, suffix and decimals that value and interval share; no decimals means four significant digits."""
    if unit in _FIXED:
        return _FIXED[unit]
    value = abs(estimate.value or 0.0)
    if unit not in _SCALES:
        return 1.0, "", None
    # 0.9995: what rounds to 1000 of one scale is shown as 1 of the next.
    suffix, factor = next((pair for pair in _SCALES[unit] if value >= 0.9995 * pair[1]), _SCALES[unit][-1])
    return factor, f" {suffix}", 0 if suffix == "B" else _decimals(estimate, factor)


def _decimals(estimate: Estimate, factor: float) -> int:
    """Three significant digits of the value, one more where the interval spans less than three steps of the last."""
    value = abs(estimate.value or 0.0) / factor
    # The exponent after rounding: 0.9996 is shown as 1.00.
    decimals = max(0, 2 - int(f"{value:.2e}".partition("e")[2])) if value else 0
    if estimate.low is None or estimate.high is None:
        return min(decimals, 6)
    steps = (estimate.high - estimate.low) / factor * 10.0**decimals
    return min(decimals + (0 < steps < 3), 6)


def _number(value: float, factor: float, decimals: int | None) -> str:
    text = f"{value / factor:.4g}" if decimals is None else f"{value / factor:.{decimals}f}"
    return text.removeprefix("-") if float(text) == 0 else text
