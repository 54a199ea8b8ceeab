"""Statistics of measurements: which quantiles a sample supports, intervals over launches, paired comparisons.

Latencies are compared on the log scale, because noise and slow-downs are ratios. Intervals are 95 % and two-sided
unless an argument says otherwise.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from edgekit.core.statistics.student import NORMAL, t_quantile, t_tail

MIN_LAUNCHES = 5
POWER = 0.80

Direction = Literal["faster", "slower", "equal", "inconclusive"]
"""How B compares with A; whether that is good is a `Verdict`."""

Floats = npt.NDArray[np.float64]


class Interval(msgspec.Struct, frozen=True):
    """A value, its interval, and the number of values behind it.

    Attributes:
        value: Best estimate, in the unit of the data (ratios and proportions: 1 is 100 %).
        low: Lower end of the interval, same unit.
        high: Upper end of the interval, same unit.
        n: Number of independent values: launches for latencies, examples for accuracies.
        detectable: Smallest true difference that such a sample detects in 80 % of cases; None if nothing is compared.
    """

    value: float
    low: float
    high: float
    n: int
    detectable: float | None = None


def required_n(quantile: float, *, confidence: float = 0.95) -> int:
    """Smallest sample whose maximum is above the `quantile` (0 < quantile < 1) with `confidence`.

    Below it no upper bound of the quantile exists: 1 - quantile**n < confidence. p50 5, p90 29, p99 299, p99.9 2995.
    """
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def supported(quantile: float, n: int) -> bool:
    """Whether `n` values bound the `quantile` from above with 95 % confidence."""
    return n >= required_n(quantile)


def launch_quantiles(launches: Sequence[Sequence[float]], quantile: float) -> tuple[float, ...] | None:
    """The `quantile` of each launch, or None if the measurement does not support it.

    Args:
        launches: Steady values of each launch, warm-ups removed.
        quantile: From 0 to 1, 0.9 for p90.

    Returns:
        One value per launch, in order. None with fewer than 5 launches, or if a launch has too few values.
    """
    if len(launches) < MIN_LAUNCHES or not all(supported(quantile, len(values)) for values in launches):
        return None
    # Median-unbiased: half of all samples lie above the truth and half below (Hyndman and Fan 1996, type 8).
    return tuple(float(np.quantile(values, quantile, method="median_unbiased")) for values in launches)


def launch_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Geometric mean of one value per launch, with Student's t interval on the log scale.

    Args:
        values: At least 2 positive values, one per launch: its median, its p90, its peak memory.
        confidence: Probability that the interval covers the truth, 0.95 for 95 %.

    Raises:
        ValueError: fewer than 2 values, or one that is not positive.
    """
    logs = _logs(values)
    mean, half = float(logs.mean()), _half_width(logs, confidence)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(logs))


def ratio_interval(a: Sequence[float], b: Sequence[float], *, paired: bool) -> Interval:
    """Ratio B/A of latencies from one value per launch, with its interval on the log scale.

    Args:
        a: Launch medians of the reference, positive, at least 2.
        b: Launch medians of the other side, same unit.
        paired: Launches were interleaved, a[i] with b[i]; drift of the device then cancels. Otherwise Welch's t.

    Returns:
        The ratio; `detectable` is the relative difference, 0.03 for 3 %; `n` is the smaller number of launches.

    Raises:
        ValueError: fewer than 2 values, one that is not positive, or `paired` with different lengths.
    """
    mean, error, df = _log_ratio(a, b, paired)
    half = t_quantile(0.975, df) * error
    seen = math.expm1((t_quantile(0.975, df) + t_quantile(POWER, df)) * error)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), min(len(a), len(b)), seen)


def ratio_p_value(a: Sequence[float], b: Sequence[float], *, paired: bool) -> float:
    """Two-sided p-value of "B is as fast as A", for `holm`; arguments as in `ratio_interval`."""
    mean, error, df = _log_ratio(a, b, paired)
    if error == 0.0:
        return float(mean == 0.0)
    return t_tail(mean / error, df)


def direction(ratio: Interval, minimum_effect: float = 0.03) -> Direction:
    """What a ratio B/A says about B.

    "slower" and "faster" need an interval that excludes 1 and a ratio beyond the minimum effect; "equal" needs the
    whole interval within the minimum effect. All else is "inconclusive": `ratio.detectable` is what could be detected.
    """
    if ratio.low > 1.0 and ratio.value > 1.0 + minimum_effect:
        return "slower"
    if ratio.high < 1.0 and ratio.value < 1.0 / (1.0 + minimum_effect):
        return "faster"
    if 1.0 / (1.0 + minimum_effect) <= ratio.low and ratio.high <= 1.0 + minimum_effect:
        return "equal"
    return "inconclusive"


def is_slower(best: Sequence[float], other: Sequence[float], minimum_effect: float = 0.03) -> bool:
    """Whether launches show that `other` is slower than `best` by more than `minimum_effect`.

    Args:
        best: Launch medians of the faster side, positive, at least 2; paired with `other` if there are as many.
        other: Launch medians of the other side, same unit.
        minimum_effect: The smallest ratio that counts, 0.03 for 3 %.
    """
    return direction(ratio_interval(best, other, paired=len(best) == len(other)), minimum_effect) == "slower"


def paired_drop(reference_correct: npt.ArrayLike, artifact_correct: npt.ArrayLike) -> Interval:
    """The accuracy that the artifact loses against its reference on the same examples.

    Score interval of Tango (1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design"). The adjusted Wald interval of Agresti and Min (2005) is shorter to write, but covered only
    90 % where a quantized model loses a few examples in a thousand and wins none.

    Args:
        reference_correct: One truth value per example, shape (N,).
        artifact_correct: The same examples in the same order.

    Returns:
        Drop as a share, 0.01 for 1 point, positive if the artifact is worse; `detectable` for this n and this
        share of examples on which both disagree.

    Raises:
        ValueError: no examples, or different lengths.
    """
    reference, artifact = _pair(reference_correct, artifact_correct)
    n = len(reference)
    lost, won = int(np.sum(reference > artifact)), int(np.sum(artifact > reference))
    seen = (_z(0.975) + _z(POWER)) * math.sqrt(lost + won + 1) / (n + 2)
    return Interval((lost - won) / n, -_score_limit(won, lost, n), _score_limit(lost, won, n), n, seen)


def paired_drop_width(disagreeing: float, n: int) -> float:
    """Half the width of `paired_drop` on `n` examples of which both sides judge `disagreeing` differently, no drop."""
    return _score_limit(disagreeing / 2, disagreeing / 2, n)


def disagreeing(detectable: float, n: int) -> int:
    """The examples that both sides of a `paired_drop` judge differently, from its `detectable`."""
    return max(0, round((detectable * (n + 2) / (_z(0.975) + _z(POWER))) ** 2 - 1))


def paired_mean_difference(reference: npt.ArrayLike, artifact: npt.ArrayLike) -> Interval:
    """Mean of artifact minus reference over the same examples, with Student's t interval.

    Args:
        reference: One error per example, shape (N,), at least 2 examples; positive differences mean a worse artifact.
        artifact: The same examples in the same order.

    Raises:
        ValueError: fewer than 2 examples, or different lengths.
    """
    before, after = _pair(reference, artifact)
    difference = after - before
    mean, half = float(difference.mean()), _half_width(difference, 0.95)
    df = len(difference) - 1
    seen = half * (1 + t_quantile(POWER, df) / t_quantile(0.975, df))
    return Interval(mean, mean - half, mean + half, len(difference), seen)


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927), which stays within 0 and 1 and works at both ends.

    Raises:
        ValueError: `n` is not positive, or `successes` is not within 0 and `n`.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    z, share = _z((1 + confidence) / 2), successes / n
    middle, scale = share + z * z / (2 * n), 1 + z * z / n
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(share, max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0), n)


def wilson_width(share: float, n: int, confidence: float = 0.95) -> float:
    """Half the width of the interval of `wilson` for a `share` of `n`."""
    z = _z((1 + confidence) / 2)
    return z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)


def needed_n(width: float, width_of: Callable[[int], float], *, most: int = 1_000_000) -> int | None:
    """The smallest number of examples, at most `most`, whose half width `width_of(n)` is at most `width`, or None.

    Args:
        width_of: Half the width of the interval of n examples; it does not grow with n.
    """
    if width_of(most) > width:
        return None
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if width_of(middle) <= width else (middle + 1, high)
    return low


def holm(p_values: Sequence[float], alpha: float = 0.05) -> tuple[bool, ...]:
    """Which hypotheses are rejected, in the given order, so that any false rejection has probability <= `alpha`.

    Step-down method of Holm (1979); needs no independence of the tests.
    """
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return tuple(rejected)


def _score_limit(lost: float, won: float, n: int) -> float:
    """Upper end of the drop: where the score of `lost` and `won` examples falls to -z."""
    low, high = (lost - won) / n, 1.0
    for _ in range(50):
        drop = (low + high) / 2
        low, high = (drop, high) if _score(lost, won, n, drop) > -_z(0.975) else (low, drop)
    return high


def _score(lost: float, won: float, n: int, drop: float) -> float:
    """Tango's score of a supposed drop; the share of won examples has its most likely value given that drop."""
    b, c = -lost - won + (2 * n - lost + won) * drop, -won * drop * (1 - drop)
    share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * share + drop * (1 - drop))
    return (lost - won - n * drop) / math.sqrt(variance) if variance > 0.0 else -math.inf


def _log_ratio(a: Sequence[float], b: Sequence[float], paired: bool) -> tuple[float, float, float]:
    """(mean log ratio, its standard error, degrees of freedom)."""
    if paired:
        before, after = _pair(_logs(a), _logs(b))
        difference = after - before
        return float(difference.mean()), _standard_error(difference), len(difference) - 1.0
    return _welch(_logs(a), _logs(b))


def _welch(a: Floats, b: Floats) -> tuple[float, float, float]:
    """(difference of means, standard error, degrees of freedom) for unequal variances (Welch 1947)."""
    share_a, share_b = _standard_error(a) ** 2, _standard_error(b) ** 2
    weight = share_a**2 / (len(a) - 1) + share_b**2 / (len(b) - 1)
    df = (share_a + share_b) ** 2 / weight if weight > 0.0 else len(a) + len(b) - 2.0
    return float(b.mean() - a.mean()), math.sqrt(share_a + share_b), df


def _half_width(values: Floats, confidence: float) -> float:
    return t_quantile((1 + confidence) / 2, len(values) - 1) * _standard_error(values)


def _standard_error(values: Floats) -> float:
    if len(values) < 2:
        raise ValueError(f"an interval needs at least 2 values, got {len(values)}")
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _logs(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2 or not np.all(array > 0.0):
        raise ValueError(f"expected at least 2 positive values, got {list(values)!r}")
    return np.log(array)


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Floats, Floats]:
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != two.shape or len(one) == 0:
        raise ValueError(f"pairs need two equal, non-empty lengths, got shapes {one.shape} and {two.shape}")
    return one, two


def _z(probability: float) -> float:
    return NORMAL.inv_cdf(probability)
