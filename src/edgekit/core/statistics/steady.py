"""Where warm-up ends in a series of durations, and whether what follows is steady or drifts.

A warm-up is fitted as `level * (1 + size * profile(i / scale))`, where the profile is an exponential approach (caches,
clock frequency), a bell, a ramp, or a step (a compiler swaps the code, a governor leaves its idle state). This is the
only rule for the end of a warm-up: runners decide how long to run, and the host evaluates all of their calls.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.core.statistics.intervals import Interval
from edgekit.core.statistics.student import t_quantile

Floats = npt.NDArray[np.float64]

MIN_VALUES = 40
MIN_FITTED = 16  # with fewer values no warm-up is fitted: eight would determine level and noise
WARM = 0.01  # a warm-up ends where durations are within 1 % of the level; one of less than 2 % does not count
DRIFT = 0.01  # a change of 1 % per 100 iterations is a drift
_BATCHES = 20
_MIN_SLOPE = 5
_COARSE, _MOST = 200, 1000  # iterations that a coarse and a fine fit use
_EVIDENCE = 25.0  # what a warm-up must explain, in squared sigmas of independent noise


class Profile(NamedTuple):
    """How a warm-up fades.

    Attributes:
        excess: Share of the warm-up left at `x = i / scale`.
        reach: The x at which `excess` has fallen to a share `left` of the warm-up, 0 < left < 1.
    """

    excess: Callable[[Floats], Floats]
    reach: Callable[[float], float]


PROFILES = (
    Profile(lambda x: np.exp(-x), lambda left: -math.log(left)),
    Profile(lambda x: np.exp(-x * x), lambda left: math.sqrt(-math.log(left))),
    Profile(lambda x: np.maximum(0.0, 1 - x), lambda left: 1 - left),
    Profile(lambda x: (x < 1).astype(np.float64), lambda left: 1.0),
)


class Fit(NamedTuple):
    """One fitted warm-up: its cost in squared sigmas, its size relative to the level, and the iteration it ends at."""

    cost: float
    size: float
    end: int


def warmup_end(values: Sequence[float]) -> int | None:
    """Index of the first steady value, 0 without a warm-up, None if no steady state is shown.

    Args:
        values: Durations of consecutive iterations in one process, positive, any unit, at least 40 for a result.

    Returns:
        None also if the warm-up takes more than half of the values, or if the rest drifts, or may drift, by 1 % or
        more per 100 iterations: `drift` of the rest shows which.
    """
    if len(values) < MIN_VALUES:
        return None
    end = _end(values)
    if end > len(values) // 2:
        return None
    trend = drift(values[end:])
    return end if max(-trend.low, trend.high) < DRIFT else None


def likely_end(values: Sequence[float]) -> int | None:
    """Index where the warm-up most likely ends, whether or not the rest is shown to be steady.

    Returns:
        At most half of the number of values: a longer warm-up has not ended. None for fewer than 16 values.
    """
    if len(values) < MIN_FITTED:
        return None
    return min(_end(values), len(values) // 2)


def _end(values: Sequence[float]) -> int:
    """The end of the last warm-up that fits, one after the other; more than half of the values where none ends."""
    logs = np.log(np.asarray(values, dtype=np.float64))
    end = 0
    while len(logs) - end > len(logs) // 2 and (more := _fitted_end(logs[end:])):
        end += more
    return end


def drift(values: Sequence[float]) -> Interval:
    """Relative change per 100 iterations, 0.01 for 1 %, with its 99.5 % interval.

    A line is fitted to the means of 20 batches, so that neighbouring values may be correlated; values more than
    2.5 sigma from the line count as 2.5 sigma. The change is relative to the lower end of the line.

    Args:
        values: Durations after the warm-up, in order, at least 5; fewer than 20 form batches of one.
    """
    array = np.asarray(values, dtype=np.float64)
    batches = min(_BATCHES, len(array))
    slope, error = _slope([part.mean() for part in np.array_split(_tamed(array, batches), batches)])
    lowest = float(np.median(array)) - abs(slope) * batches / 2
    scale, half = 100 * batches / len(array) / lowest, t_quantile(0.9975, batches - 2) * error
    return Interval(slope * scale, (slope - half) * scale, (slope + half) * scale, len(array))


def common_drift(launches: Sequence[Sequence[float]], calls: float) -> float:
    """Relative change per 100 iterations that launches have in common; 0.0 if none is shown, or if it is small.

    Each launch has one slope. A drift is shown if the 98 % interval over launches excludes 0. It counts from 1 % per
    100 iterations, and in shorter launches from 1 % within a launch.

    Args:
        launches: Values after the warm-up, in order; launches of fewer than 5 are ignored, and 2 must remain.
        calls: Number of calls of a launch, its warm-up included: part of a slow drift looks like a warm-up.
    """
    slopes = np.asarray([drift(values).value for values in launches if len(values) >= _MIN_SLOPE])
    if len(slopes) < 2:
        return 0.0
    mean, error = float(slopes.mean()), float(slopes.std(ddof=1)) / math.sqrt(len(slopes))
    is_shown = abs(mean) > t_quantile(0.99, len(slopes) - 1) * error
    return mean if is_shown and abs(mean) > DRIFT * max(1.0, 100 / calls) else 0.0


def _tamed(values: Floats, batches: int) -> Floats:
    """Values with their outliers pulled to 2.5 sigma around the line through the medians of the batches."""
    slope, _ = _slope([float(np.median(part)) for part in np.array_split(values, batches)])
    line = slope * batches / len(values) * np.arange(len(values))
    return line + _clipped(values - line)


def _slope(points: Sequence[float]) -> tuple[float, float]:
    """Slope per point of the least-squares line, and its standard error."""
    steps, heights = np.arange(len(points)) - (len(points) - 1) / 2, np.asarray(points)
    slope = float(steps @ heights) / float(steps @ steps)
    rest = heights - heights.mean() - slope * steps
    return slope, math.sqrt(float(rest @ rest) / (len(points) - 2) / float(steps @ steps))


def _clipped(values: Floats) -> Floats:
    middle, noise = np.median(values), _noise(values)
    return np.clip(values, middle - 2.5 * noise, middle + 2.5 * noise)


def _noise(values: Floats) -> float:
    # 1.4826 turns the median absolute deviation into sigma for normal data.
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _fitted_end(logs: Floats) -> int:
    """First index after the fitted warm-up; the second half of the values gives the level and the noise."""
    half = len(logs) // 2
    noise = max(_noise(logs[half:]), 1e-4)  # clocks tick: equal values are known to 0.01 % at best
    first = (logs[:half] - np.median(logs[half:])) / noise
    fit = min((_refined(first, noise, *start) for start in _starts(first, noise)), key=lambda fit: fit.cost)
    gain = float(_capped(first[_picked(half, _MOST)]).sum()) - fit.cost
    if gain < _EVIDENCE * _inflation(logs[half:]) or abs(fit.size) <= 2 * WARM:
        return int(abs(first[0]) > 5)  # the first iteration alone may be slow: page faults, lazy allocation
    return fit.end


def _inflation(logs: Floats) -> float:
    """How much more evidence correlated noise fakes: (1 + r) / (1 - r) for the correlation r of neighbours."""
    rest = _clipped(logs) - np.median(logs)
    r = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)
    return (1 + r) / (1 - r) if 0 < r < 0.99 else 1.0


def _starts(first: Floats, noise: float) -> list[tuple[Profile, float, float]]:
    """The best (profile, size, scale) of a coarse grid, one for each profile."""
    scaled = (first[_picked(len(first), _COARSE)] * noise).astype(np.float32)
    sizes, scales = _axes(len(first))
    starts = []
    for profile, table in zip(PROFILES, _tables(len(first)), strict=True):
        rest = np.abs(scaled - table)
        # Huber (1964): beyond 1.5 sigma the cost grows linearly, slow outliers pull little.
        inner = np.minimum(rest, np.float32(1.5 * noise))
        best = int(np.argmin((inner * (2 * rest - inner)).sum(axis=1)))
        starts.append((profile, float(sizes[best // len(scales)]), float(scales[best % len(scales)])))
    return starts


def _refined(first: Floats, noise: float, profile: Profile, size: float, scale: float) -> Fit:
    """The best fit near a start, on ever finer grids; the first iteration is left out, it is often slow for itself."""
    cost = math.inf
    for width, most in ((1.6, _COARSE), (1.2, _COARSE), (1.06, _MOST), (1.02, _MOST)):
        iterations = _picked(len(first), most)
        near = np.geomspace(1 / width, width, 9)
        coarse = max(1.0, (near[1] / near[0] - 1) * min(abs(size), 1.0) / noise)  # no finer than the grid is
        rest = first[iterations] - _excess(profile, size * near, scale * near, iterations) / noise
        costs = _capped(rest / coarse).sum(axis=1)
        best = int(np.argmin(costs))
        size, scale = size * float(near[best // 9]), scale * float(near[best % 9])
        cost = float(_capped(rest[best]).sum())
    reach = profile.reach(min(WARM / abs(size), 1.0))
    return Fit(cost, size, math.ceil(scale * reach))


def _capped(rest: Floats) -> Floats:
    """Squared residuals, in sigmas, of which each counts 16 at most: an early tier of a warm-up is given up."""
    return np.minimum(rest * rest, 16.0)


def _excess(profile: Profile, sizes: Floats, scales: Floats, iterations: npt.NDArray[np.int_]) -> Floats:
    """Log of duration over level for every size and scale, shape (sizes * scales, iterations)."""
    left = profile.excess(iterations / scales[:, None])
    excess = np.log1p(np.maximum(sizes[:, None, None] * left, -0.9))
    return np.asarray(excess.reshape(-1, len(iterations)))


@lru_cache(maxsize=8)
def _tables(n: int) -> tuple[npt.NDArray[np.float32], ...]:
    """`_excess` of the coarse grid at the picked iterations, one array a profile."""
    return tuple(_excess(profile, *_axes(n), _picked(n, _COARSE)).astype(np.float32) for profile in PROFILES)


def _axes(n: int) -> tuple[Floats, Floats]:
    """Sizes and scales of the coarse grid for `n` iterations."""
    sizes = np.concatenate([-np.geomspace(0.02, 0.7, 12), np.geomspace(0.02, 100.0, 24)])
    return sizes, np.geomspace(0.5, n, 4 * math.ceil(math.log(2 * n)))


@lru_cache(maxsize=32)
def _picked(n: int, most: int) -> npt.NDArray[np.int_]:
    """At most `most` iterations of `n` without the first: all early ones, fewer and fewer later."""
    return np.arange(1, n) if n <= most else np.unique(np.geomspace(1, n - 1, most).astype(int))
