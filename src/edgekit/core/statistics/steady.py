"""Where warm-up ends in a series of durations, and whether what follows is steady.

A warm-up is fitted as `level * (1 + size * profile(i / scale))`, where the profile is an exponential approach (caches,
clock frequency), a bell, a ramp, or a step (a compiler swaps the code, a governor leaves its idle state). What follows
must then be shown to be steady: a trace too short or too noisy for that is not called steady.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import median
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit.core.statistics.intervals import Interval
from edgekit.core.statistics.student import t_quantile

Floats = npt.NDArray[np.float64]

MIN_VALUES = 40
WARM = 0.01  # a warm-up has ended where durations are within 1 % of the level; one of less than 2 % is none
DRIFT = 0.01  # a change of 1 % per 100 iterations is a drift
_BATCHES = 20
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
    """Index of the first steady value, 0 where there is no warm-up, None where no steady state is shown.

    Args:
        values: Durations of consecutive iterations in one process, positive, any unit, at least 40 for an answer.

    Returns:
        None also where the warm-up takes more than half of the values, or where the rest drifts, or may drift, by 1 %
        or more per 100 iterations: `drift` of the rest tells which.
    """
    if len(values) < MIN_VALUES:
        return None
    logs = np.log(np.asarray(values, dtype=np.float64))
    end = 0
    while len(logs) - end > len(logs) // 2 and (more := _fitted_end(logs[end:])):
        end += more
    if end > len(logs) // 2:
        return None
    trend = drift(values[end:])
    return end if max(-trend.low, trend.high) < DRIFT else None


def drift(values: Sequence[float]) -> Interval:
    """Relative change per 100 iterations, 0.01 for 1 %, with its 99.5 % interval.

    A line is fitted to the means of 20 batches, so that neighbouring values may be correlated; values further than
    2.5 sigma from the line count as 2.5 sigma. The change is relative to the lower end of the line.

    Args:
        values: Durations after the warm-up, in order, at least 20.
    """
    array = np.asarray(values, dtype=np.float64)
    slope, error = _slope([part.mean() for part in np.array_split(_tamed(array), _BATCHES)])
    lowest = float(np.median(array)) - abs(slope) * _BATCHES / 2
    scale, half = 100 * _BATCHES / len(array) / lowest, t_quantile(0.9975, _BATCHES - 2) * error
    return Interval(slope * scale, (slope - half) * scale, (slope + half) * scale, len(array))


def _tamed(values: Floats) -> Floats:
    """Values with their outliers pulled to 2.5 sigma around the line through the medians of the batches."""
    slope, _ = _slope([float(np.median(part)) for part in np.array_split(values, _BATCHES)])
    line = slope * _BATCHES / len(values) * np.arange(len(values))
    return line + _clipped(values - line)


def _slope(points: Sequence[float]) -> tuple[float, float]:
    """Slope per point of the least-squares line, and its standard error."""
    steps, heights = np.arange(len(points)) - (len(points) - 1) / 2, np.asarray(points)
    slope = float(steps @ heights) / float(steps @ steps)
    rest = heights - heights.mean() - slope * steps
    return slope, math.sqrt(float(rest @ rest) / (len(points) - 2) / float(steps @ steps))


def is_steady(recent: Sequence[float]) -> bool:
    """Whether a runner may stop warming up: the medians of both halves of `recent` agree within 1 %.

    Cheap enough for any device, and a rule to stop by only; whether the run was steady is said by `warmup_end`
    from all its values.
    """
    half = len(recent) // 2
    return half > 0 and abs(median(recent[half:]) / median(recent[:half]) - 1) <= WARM


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
    gain = float(_capped(first[1:]).sum()) - fit.cost
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
    picked = _picked(len(first))
    sizes, scales = _axes(len(first))
    starts = []
    for profile, table in zip(PROFILES, _tables(len(first)), strict=True):
        rest = np.abs(first[picked] - table / noise)
        inner = np.minimum(
            rest, 1.5
        )  # Huber (1964): beyond 1.5 sigma the cost grows linearly, slow outliers pull little
        best = int(np.argmin((inner * (2 * rest - inner)).sum(axis=1)))
        starts.append((profile, float(sizes[best // len(scales)]), float(scales[best % len(scales)])))
    return starts


def _refined(first: Floats, noise: float, profile: Profile, size: float, scale: float) -> Fit:
    """The best fit near a start, on ever finer grids; the first iteration is left out, it is often slow for itself."""
    iterations, cost = np.arange(1, len(first)), math.inf
    for width in (1.6, 1.2, 1.06, 1.02):
        near = np.geomspace(1 / width, width, 9)
        coarse = max(1.0, (near[1] / near[0] - 1) * min(abs(size), 1.0) / noise)  # no finer than the grid is
        rest = first[1:] - _excess(profile, size * near, scale * near, iterations) / noise
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
def _tables(n: int) -> tuple[Floats, ...]:
    """`_excess` of the coarse grid at the picked iterations, one array a profile."""
    return tuple(_excess(profile, *_axes(n), _picked(n)) for profile in PROFILES)


def _axes(n: int) -> tuple[Floats, Floats]:
    """Sizes and scales of the coarse grid for `n` iterations."""
    sizes = np.concatenate([-np.geomspace(0.02, 0.7, 12), np.geomspace(0.02, 100.0, 24)])
    return sizes, np.geomspace(0.5, n, 4 * math.ceil(math.log(2 * n)))


def _picked(n: int) -> npt.NDArray[np.int_]:
    """At most 200 iterations for the coarse grid, without the first: all early ones, fewer and fewer later."""
    return np.unique(np.geomspace(1, n - 1, 200).astype(int))
