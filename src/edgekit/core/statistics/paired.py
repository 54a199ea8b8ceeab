"""Pairs of launches, compared in several looks: stopping early adds no false alarms.

Each of `LOOKS` looks at the growing data gets its share of the error (Bonferroni), so that all intervals together hold
with the stated confidence. They use trimmed means of the log ratios (Tukey and McLaughlin 1963, Yuen 1974): of 8 pairs,
one at either end may be disturbed by any amount and hardly widens the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from edgekit.core.statistics.intervals import POWER, Floats, Interval
from edgekit.core.statistics.student import t_quantile, t_tail

LOOKS: Final = 4
TRIM: Final = 0.2
# Below it, trimming leaves fewer than three pairs.
MIN_PAIRS: Final = 5


def paired_ratio(a: Sequence[float], b: Sequence[float], *, alpha: float = 0.05, looks: int = LOOKS) -> Interval:
    """Ratio B/A of latencies, with an interval that holds at all of `looks` looks with probability 1 - `alpha`.

    Args:
        a: One value per launch of the reference, positive, at least 5.
        b: The launches that were interleaved with them, in the same order.
        alpha: Probability that any of the looks misses the truth.
        looks: The largest number of looks at the growing data.

    Returns:
        The ratio; `detectable` is the relative difference that is detected in 80 % of cases, 0.03 for 3 %.

    Raises:
        ValueError: fewer than 5 pairs, different lengths, or a value that is not positive.
    """
    mean, error, df = _trimmed(_log_ratios(a, b))
    quantile = t_quantile(1 - alpha / looks / 2, df)
    half = quantile * error
    seen = math.expm1((quantile + t_quantile(POWER, df)) * error)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(a), seen)


def paired_p_value(a: Sequence[float], b: Sequence[float], *, looks: int = LOOKS) -> float:
    """Two-sided p-value of "B is as fast as A" for `holm`, valid at any of `looks` looks; as in `paired_ratio`."""
    mean, error, df = _trimmed(_log_ratios(a, b))
    if error == 0.0:
        return float(mean == 0.0)
    return min(1.0, looks * t_tail(mean / error, df))


def _log_ratios(a: Sequence[float], b: Sequence[float]) -> Floats:
    before, after = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if before.shape != after.shape or len(before) < MIN_PAIRS or not (np.all(before > 0.0) and np.all(after > 0.0)):
        raise ValueError(f"expected at least {MIN_PAIRS} pairs of positive values, got {list(a)!r} and {list(b)!r}")
    return np.asarray(np.log(after / before))


def _trimmed(values: Floats) -> tuple[float, float, float]:
    """(trimmed mean, its standard error from the winsorized spread, degrees of freedom)."""
    ordered = np.sort(values)
    count = len(ordered)
    cut = int(TRIM * count)
    winsorized = np.clip(ordered, ordered[cut], ordered[count - cut - 1])
    kept = count - 2 * cut
    error = float(winsorized.std(ddof=1)) * math.sqrt(count) / kept
    return float(ordered[cut : count - cut].mean()), error, kept - 1.0
