"""Launches for which 95 % intervals fall short: values that depend on each other, and levels that few launches meet."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.optimize import brentq
from scipy.signal import lfilter

from edgekit.core.statistics.intervals import launch_interval, launch_quantiles

Floats = npt.NDArray[np.float64]
MEASUREMENTS: Final = 1_000
SIGMA: Final = 0.03
SLOW: Final = 0.15
FEWEST: Final = (5, 100)
SHAPES: Final = (FEWEST, (6, 100), (8, 50), (8, 100), (10, 300))


class HardKind(NamedTuple):
    """Logs of durations, shape (launches, values), and the mean over launches of their quantile."""

    name: str
    quantile: float
    draw: Callable[[np.random.Generator, int, int], Floats]
    truth: float


def _normal(rng: np.random.Generator, launches: int, values: int) -> Floats:
    return SIGMA * rng.standard_normal((launches, values))


def _correlated(rng: np.random.Generator, launches: int, values: int) -> Floats:
    white = rng.standard_normal((launches, values + 200)) * math.sqrt(1 - 0.9**2)
    return np.asarray(SIGMA * lfilter([1.0], [1.0, -0.9], white)[:, 200:], dtype=np.float64)


def _half_slower(rng: np.random.Generator, launches: int, values: int) -> Floats:
    return _normal(rng, launches, values) + SLOW * (rng.random((launches, values)) < 0.5)


def _slow_phases(rng: np.random.Generator, launches: int, values: int) -> Floats:
    phases = rng.random((launches, math.ceil(values / 10))) < 0.3
    return _normal(rng, launches, values) + SLOW * np.repeat(phases, 10, axis=1)[:, :values]


def _slow_launches(rng: np.random.Generator, launches: int, values: int) -> Floats:
    return _normal(rng, launches, values) + SLOW * (rng.random((launches, 1)) < 0.3)


def _quantile_of_two(share: float, quantile: float) -> float:
    def excess(x: float) -> float:
        fast, slow = stats.norm.cdf([x / SIGMA, (x - SLOW) / SIGMA])
        return float((1 - share) * fast + share * slow - quantile)

    return float(brentq(excess, -1.0, 1.0))


SLOW_LAUNCHES: Final = HardKind("3 of 10 launches 15 % slower, median", 0.5, _slow_launches, 0.3 * SLOW)
KINDS: Final = (
    HardKind("autocorrelated (0.9), p90", 0.9, _correlated, SIGMA * float(stats.norm.ppf(0.9))),
    HardKind("half of the values 15 % slower, median", 0.5, _half_slower, _quantile_of_two(0.5, 0.5)),
    HardKind("slow phases of 10 iterations (30 %), p90", 0.9, _slow_phases, _quantile_of_two(0.3, 0.9)),
    SLOW_LAUNCHES,
)


def hard_table() -> str:
    """The share of measurements whose interval covers the truth, by launches x values."""
    head = ["kind", *(f"{launches} x {values}" for launches, values in SHAPES)]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(line(kind) for kind in KINDS)])


def line(kind: HardKind) -> str:
    """One row of the table."""
    return f"| {' | '.join([kind.name, *(f'{100 * covered(kind, *shape):.0f} %' for shape in SHAPES)])} |"


def covered(kind: HardKind, launches: int, values: int) -> float:
    """The share of intervals that cover the truth."""
    rng, found = np.random.default_rng(1), 0
    for _ in range(MEASUREMENTS):
        quantiles = launch_quantiles(list(np.exp(kind.draw(rng, launches, values))), kind.quantile)
        if quantiles is None:
            raise ValueError(f"{launches} launches of {values} values do not support {kind.quantile}")
        interval = launch_interval(quantiles)
        found += interval.low <= math.exp(kind.truth) <= interval.high
    return found / MEASUREMENTS
