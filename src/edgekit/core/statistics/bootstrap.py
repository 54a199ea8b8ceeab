"""The bootstrap over samples (Efron 1979): intervals of figures that are computed from all samples together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.statistics.intervals import POWER, Interval
from edgekit.core.statistics.student import NORMAL

Rows = NDArray[np.int64]
Statistic = Callable[[Rows], float]
"""A figure of the samples with these numbers; a number that occurs twice counts twice."""

DRAWS: Final = 1000
_TAILS: Final = (0.025, 0.975)


def bootstrap_interval(n: int, statistic: Statistic, *, block: int = 1, draws: int = DRAWS, seed: int = 0) -> Interval:
    """`statistic` over all `n` samples with its 95 % percentile interval.

    Args:
        block: Consecutive samples are drawn together in blocks of this many (moving blocks, Kuensch 1989).
    """
    generator = np.random.default_rng(seed)
    values = [statistic(_drawn(n, block, generator)) for _ in range(draws)]
    low, high = np.quantile(np.array(values), _TAILS)
    return Interval(float(statistic(np.arange(n))), float(low), float(high), n)


def bootstrap_difference(n: int, first: Statistic, second: Statistic, *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """`first` minus `second` over the same samples, with the interval of the same draws of both.

    Returns:
        The difference; `detectable` is that for this spread of the draws.
    """
    generator = np.random.default_rng(seed)
    drawn = (_drawn(n, 1, generator) for _ in range(draws))
    values = np.array([first(rows) - second(rows) for rows in drawn])
    low, high = np.quantile(values, _TAILS)
    seen = (NORMAL.inv_cdf(_TAILS[1]) + NORMAL.inv_cdf(POWER)) * float(values.std())
    everything = np.arange(n)
    return Interval(float(first(everything) - second(everything)), float(low), float(high), n, seen)


def _drawn(n: int, block: int, generator: np.random.Generator) -> Rows:
    if block <= 1:
        return generator.integers(0, n, n)
    starts = generator.integers(0, max(n - block, 0) + 1, -(-n // block))
    rows = (starts[:, None] + np.arange(block)).ravel()[:n]
    return np.asarray(np.minimum(rows, n - 1), dtype=np.int64)
