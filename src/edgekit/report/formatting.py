"""Words and numbers for people, identical in every rendering of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from edgekit.core import units
from edgekit.core.bundle import Artifact
from edgekit.core.recipe import is_weight_only
from edgekit.core.reports.check import Change
from edgekit.core.reports.report import BudgetCheck, Estimate, ParityCheck
from edgekit.core.verdict import Verdict
from edgekit.report import plain

VERDICTS: Final = {
    Verdict.PASS: "pass",
    Verdict.FAIL: "FAIL",
    Verdict.INCONCLUSIVE: "INCONCLUSIVE",
    Verdict.INCOMPLETE: "INCOMPLETE",
}

# Sizes below it are written with all digits: a file may grow by a few bytes.
_EXACT_BYTES: Final = 1e6

clean: Final = plain.clean


def shortened(text: str, letters: int) -> str:
    """`text` cleaned, and cut to at most `letters` characters with an ellipsis."""
    flat = clean(text)
    return flat if len(flat) <= letters else f"{flat[: letters - 1]}…"


def quantity(estimate: Estimate, unit: str) -> str:
    """The value with its unit: `3.31 ms`; a dash if it is missing."""
    return units.format_value(estimate.value, unit, low=estimate.low, high=estimate.high)


def interval(estimate: Estimate, unit: str, *, form: str = "[{}, {}]") -> str:
    """The 95 % interval in the scale of the value, without a unit: `[3.28, 3.35]`; empty if there is none."""
    return units.format_interval(estimate.value, estimate.low, estimate.high, unit, form=form)


def figure(estimate: Estimate, unit: str) -> str:
    """The value and its interval: `3.31 ms [3.28, 3.35]`."""
    return units.format_figure(estimate.value, estimate.low, estimate.high, unit)


def rate(estimate: Estimate) -> str:
    """A number per second with three digits: `122,000`, `7.41`; a dash if it is missing."""
    if estimate.value is None or not math.isfinite(estimate.value):
        return units.ABSENT
    value = float(f"{estimate.value:.3g}")
    return f"{value:,.0f}" if value >= 100 else f"{value:g}"


def instructions(estimate: Estimate) -> str:
    """Counted instructions with all digits, which are exact: `467,729`; a dash if they were not counted."""
    return units.ABSENT if estimate.value is None else f"{estimate.value:,.0f}"


def changed(found: Change, place: str) -> str:
    """Both figures and the difference: `3.10 ms before, 3.41 ms now on pi5 (+0.310 ms [+0.250 ms, +0.380 ms])`."""
    before, now = (_figure_in(one.value, found.unit) for one in (found.before, found.now))
    difference = found.difference
    shown = _signed(difference.value, found)
    if difference.low is not None and difference.high is not None and difference.low != difference.high:
        shown += f" [{_signed(difference.low, found)}, {_signed(difference.high, found)}]"
    return f"{before} before, {now} now on {place} ({shown})"


def _signed(value: float | None, found: Change) -> str:
    """A difference with its sign, in the scale of the figures: `+0.31 ms`, `-4 B`."""
    text = _figure_in(None if value is None else abs(value), found.difference_unit, found.now.value)
    return f"{'-' if value is not None and value < 0 else '+'}{text}"


def _figure_in(value: float | None, unit: str, like: float | None = None) -> str:
    few_bytes = unit == "bytes" and max(value or 0.0, like or 0.0) < _EXACT_BYTES
    if value is not None and (unit == "instructions" or few_bytes):
        return f"{value:,.0f}{' B' if unit == 'bytes' else ''}"
    # A file of megabytes may grow by bytes; times are easier to read in one unit.
    return units.format_value(value, unit) if unit == "bytes" else units.format_like(value, like, unit)


def beyond(check: BudgetCheck) -> str:
    """How far a failed budget was missed, `0.41 ms over`, or why one is undecided; empty for all others."""
    if check.verdict is Verdict.INCONCLUSIVE and check.estimate.value is not None:
        return clean(check.estimate.reason)
    if check.verdict is not Verdict.FAIL or check.excess is None:
        return ""
    return f"{units.format_value(abs(check.excess), check.display_unit)} {'over' if check.excess > 0 else 'under'}"


def parity_value(check: ParityCheck) -> str:
    """The result of a parity check and its limit: `0.31 (limit 0.05)`; empty if it was not judged."""
    if check.value is None and check.verdict is Verdict.INCONCLUSIVE:
        return ""
    sign = "limit" if check.kind in ("difference", "drop", "overflow") else "at least"
    return f"{units.format_value(check.value, check.unit)} ({sign} {units.format_value(check.limit, check.unit)})"


def parity_sample(check: ParityCheck) -> str:
    """The sample that differs most, `sample 7 of 32`, counted from 0 as in the file; empty if unknown."""
    return "" if check.sample is None else f"sample {check.sample} of {check.samples}"


def quantized(made: Artifact | None) -> str:
    """How much of an artifact is quantized, `97 % of work in int8`; empty for float32 and float16."""
    share = made.quantized if made else None
    if made is None or share is None:
        return ""
    is_work = share.work is not None and not is_weight_only(made.recipe)
    value = share.work if is_work else share.weights
    return "" if value is None else f"{100 * value:.0f} % of {'work' if is_work else 'weights'} in {made.precision}"


def sizes(values: Mapping[str, int]) -> str:
    """Sizes of dynamic axes: `N=8, T=32`."""
    return ", ".join(f"{axis}={size}" for axis, size in values.items())


def at_sizes(values: Mapping[str, int]) -> str:
    """` at N=1, T=32`, to follow a figure; empty for one sample of a model without other dynamic axes."""
    is_usual = not values or set(values.values()) == {1} == {len(values)}
    return "" if is_usual else f" at {sizes(values)}"


def plural(count: int, noun: str) -> str:
    """`1 launch`, `6 launches`."""
    ending = "es" if noun.endswith(("ch", "s", "x")) else "s"
    return f"{count:,} {noun}{'' if count == 1 else ending}"
