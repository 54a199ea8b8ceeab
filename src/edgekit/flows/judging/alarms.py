"""From many checks to one verdict: Holm's method over all of them, patience with undecided ones, and the policy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from edgekit.core.budget import CALLS
from edgekit.core.reports.check import Checked
from edgekit.core.reports.report import BudgetCheck
from edgekit.core.statistics.intervals import holm
from edgekit.core.statistics.student import NORMAL, t_quantile, t_tail
from edgekit.core.system.check_settings import CheckFile
from edgekit.core.verdict import Verdict, worst

# Metrics whose estimates rest on launches: another measurement may tell another value.
MEASURED: Final = (*CALLS, "load", "first_run", "memory")


def p_value(check: BudgetCheck, *, lower_is_better: bool) -> float | None:
    """One-sided p-value of "the limit is kept", from the interval of the estimate; None where there is none.

    Launches are compared with the limit on the log scale by Student's t, shares of examples by the normal distribution.
    An exact figure, such as a size, has 0 or 1.
    """
    found = check.estimate
    if found.value is None or found.low is None or found.high is None:
        return None
    if found.low == found.high:
        return float(check.verdict is not Verdict.FAIL)
    if check.metric in MEASURED and found.n > 1 and check.limit > 0:
        value, low, high, limit = (math.log(one) for one in (found.value, found.low, found.high, check.limit))
        error = (high - low) / 2 / t_quantile(0.975, found.n - 1)
        return _upper_tail((value - limit) * (1 if lower_is_better else -1) / error, found.n - 1)
    error = (found.high - found.low) / 2 / NORMAL.inv_cdf(0.975)
    excess = (found.value - check.limit) * (1 if lower_is_better else -1)
    return 1 - NORMAL.cdf(excess / error)


def controlled(results: Sequence[Checked], alpha: float) -> tuple[Checked, ...]:
    """The results with every alarm that Holm's method does not uphold made inconclusive."""
    tested = [place for place, one in enumerate(results) if one.p_value is not None]
    upheld = dict(zip(tested, holm([results[place].p_value or 0.0 for place in tested], alpha), strict=True))
    return tuple(
        _undecided(one, f"not significant among {len(tested)} checks")
        if one.verdict is Verdict.FAIL and not upheld.get(place, True)
        else one
        for place, one in enumerate(results)
    )


def patient(results: Sequence[Checked], file: CheckFile, before: Callable[[str], int]) -> tuple[Checked, ...]:
    """The results with the count of inconclusive runs in a row; at the policy's patience they fail.

    Args:
        before: How many runs before this one, in a row, left a check undecided.
    """
    return tuple(
        _counted(one, file, before(one.key) + 1) if one.verdict is Verdict.INCONCLUSIVE else one for one in results
    )


def overall(results: Sequence[Checked], file: CheckFile) -> Verdict:
    """The verdict of the run under the policy for inconclusive results."""
    found = worst(one.verdict for one in results)
    if found is not Verdict.INCONCLUSIVE:
        return found
    return {"pass": Verdict.PASS, "report": Verdict.INCONCLUSIVE, "fail": Verdict.FAIL}[file.inconclusive]


def _counted(one: Checked, file: CheckFile, runs: int) -> Checked:
    if file.inconclusive == "pass" and runs >= file.patience:
        message = f"inconclusive in {runs} runs in a row (limit {file.patience}); the last: {one.message}"
        return msgspec.structs.replace(one, verdict=Verdict.FAIL, message=message, in_a_row=runs)
    return msgspec.structs.replace(one, in_a_row=runs)


def _undecided(one: Checked, reason: str) -> Checked:
    return msgspec.structs.replace(one, verdict=Verdict.INCONCLUSIVE, message=f"{one.message}; {reason}")


def _upper_tail(t: float, df: float) -> float:
    half = t_tail(t, df) / 2
    return half if t > 0 else 1 - half
