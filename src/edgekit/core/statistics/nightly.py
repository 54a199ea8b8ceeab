"""The nightly gate: whether today's latency has left the level of the previous nights, and since when."""

import math
from collections.abc import Sequence
from statistics import median
from typing import Literal

import msgspec

MIN_HISTORY = 5
RERUNS = 5
# How far above the level tonight's first value must be, and every value that confirms it.
MARGIN = 0.015
CONFIRMING_MARGIN = 0.010
# The level may lie this far above the last nights: an unsteady series reached it recently.
MAX_LIFT = 0.06
MIN_SIDE = 3

Outcome = Literal["pass", "regressed", "inconclusive"]


class Judgement(msgspec.Struct, frozen=True):
    """The judgement of the gate on one night.

    Attributes:
        outcome: "regressed" needs every candidate above its limit; "inconclusive" needs more values.
        reason: One sentence for the report.
        level: What the series may reach without a regression, in the unit of the history; None with too few nights.
        limit: The level plus the margin of the first value, same unit; None with too few nights.
        rerun: Whether one more measurement today can decide it; False if earlier nights are missing.
    """

    outcome: Outcome
    reason: str
    level: float | None = None
    limit: float | None = None
    rerun: bool = False


def judge(history: Sequence[float], candidates: Sequence[float], *, reruns: int = RERUNS) -> Judgement:
    """Whether today is slower than the previous nights.

    Args:
        history: Earlier nightly values, oldest first, positive, at least 5; the last 10 are used.
        candidates: Today's value and, after each result with `rerun`, one more measurement, preferably hours later:
            an immediate re-run repeats what disturbed the first value. The nights before may be the first of them,
            from the one on that left the level.
        reruns: Measurements after the first that must confirm it. The published error rates hold for 5.

    Returns:
        "pass" if the first value is at most 1.5 % above the level, or at the first re-run that is at most 1.0 % above
        it; "regressed" if none is.

    Raises:
        ValueError: no candidate, or a value that is not positive.
    """
    _check(history, candidates)
    if len(history) < MIN_HISTORY:
        return Judgement("inconclusive", f"needs {MIN_HISTORY} earlier values, has {len(history)}")
    level = expected_level(history)
    limit = level * (1 + MARGIN)
    if candidates[0] <= limit or min(candidates) <= level * (1 + CONFIRMING_MARGIN):
        return Judgement("pass", f"{_percent(min(candidates), level)} against the level", level, limit)
    if len(candidates) <= reruns:
        missing = reruns + 1 - len(candidates)
        reason = f"{_percent(candidates[-1], level)} against the level, {missing} more to confirm it"
        return Judgement("inconclusive", reason, level, limit, rerun=True)
    reason = f"all {len(candidates)} values are slower, the median by {_percent(median(candidates), level)}"
    return Judgement("regressed", reason, level, limit)


def expected_level(history: Sequence[float]) -> float:
    """What the series may reach tonight without a regression: between the median of 5 nights and 6 % above it.

    Within these bounds it is the 80 % quantile of the last 10 nights, so that a series that changes between two
    levels is measured against the slower one, and an accepted step is followed within 3 nights.
    """
    middle, last = median(history[-5:]), sorted(history[-10:])
    place = 0.8 * (len(last) - 1)
    below = int(place)
    slow = last[below] + (place - below) * (last[min(below + 1, len(last) - 1)] - last[below])
    return min(max(middle, slow), middle * (1 + MAX_LIFT))


def blame(values: Sequence[float]) -> int | None:
    """Index of the first slow value of the clearest step upwards, None if no step exceeds the noise.

    The step is where two medians fit the values best (least absolute deviations); it must be larger than the
    gate's margin and than 4 standard errors, with at least 3 values on either side.

    Args:
        values: Nightly values, oldest first, positive.
    """
    splits = range(MIN_SIDE, len(values) - MIN_SIDE + 1)
    best = min(splits, key=lambda split: _spread(values[:split]) + _spread(values[split:]), default=None)
    return best if best is not None and _is_step(values[:best], values[best:]) else None


def _is_step(before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether `after` is slower by more than the margin and than 4 standard errors of the two medians."""
    low, high = median(before), median(after)
    # 1.2533 is sqrt(pi / 2): sigma from a mean absolute deviation, and once more for the error of a median.
    sigma = 1.2533 * (_spread(before) + _spread(after)) / (len(before) + len(after))
    error = 1.2533 * sigma * math.sqrt(1 / len(before) + 1 / len(after))
    return high - low > max(MARGIN * low, 4 * error)


def _spread(values: Sequence[float]) -> float:
    """Sum of absolute deviations from the median."""
    middle = median(values)
    return sum(abs(value - middle) for value in values)


def _check(history: Sequence[float], candidates: Sequence[float]) -> None:
    if not candidates:
        raise ValueError("no candidate to judge")
    if not all(value > 0 for value in (*history, *candidates)):
        raise ValueError("a latency that is not positive cannot be judged")


def _percent(value: float, level: float) -> str:
    return f"{100 * (value / level - 1):+.1f} %"
