"""Stated 95 % intervals cover the truth: 1,000 synthetic measurements of each kind, graded with the real functions.

The truth is the quantile of one launch, averaged on the log scale over all launches there could be: that is what
`launch_interval` of `launch_quantiles` estimates. It is computed from the generating distribution, not from a sample.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.optimize import brentq
from scipy.signal import lfilter

from edgekit.core.statistics.intervals import launch_interval, launch_quantiles
from edgekit.core.statistics.steady import drift, warmup_end

Floats = npt.NDArray[np.float64]
MEASUREMENTS, LAUNCHES, VALUES = 1000, 8, 100
LEVEL, SIGMA, SLOW_SHARE, SLOW = 2e-3, 0.03, 0.3, 0.15


def normal(rng: np.random.Generator, values: int) -> Floats:
    return SIGMA * rng.standard_normal((LAUNCHES, values))


def correlated(rng: np.random.Generator, values: int, *, correlation: float = 0.5) -> Floats:
    white = rng.standard_normal((LAUNCHES, values + 100)) * math.sqrt(1 - correlation**2)
    return np.asarray(SIGMA * lfilter([1.0], [1.0, -correlation], white)[:, 100:], dtype=np.float64)


def two_modes(rng: np.random.Generator, values: int) -> Floats:
    return normal(rng, values) + SLOW * (rng.random((LAUNCHES, values)) < SLOW_SHARE)


def spread_launches(rng: np.random.Generator, values: int) -> Floats:
    return normal(rng, values) + 0.02 * rng.standard_normal((LAUNCHES, 1))


def normal_quantile(quantile: float) -> float:
    return SIGMA * float(stats.norm.ppf(quantile))


def two_modes_quantile(quantile: float) -> float:
    def excess(x: float) -> float:
        fast, slow = stats.norm.cdf([x / SIGMA, (x - SLOW) / SIGMA])
        return float((1 - SLOW_SHARE) * fast + SLOW_SHARE * slow - quantile)

    return float(brentq(excess, -1.0, 1.0))


@dataclass(frozen=True)
class Kind:
    name: str
    draw: Callable[[np.random.Generator, int], Floats]
    truth: Callable[[float], float]


KINDS = [
    Kind("independent", normal, normal_quantile),
    Kind("autocorrelated", correlated, normal_quantile),
    Kind("two modes", two_modes, two_modes_quantile),
    Kind("launch-to-launch spread", spread_launches, normal_quantile),
]


@pytest.mark.parametrize("quantile", [0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_intervals_cover_the_truth_as_often_as_they_state(kind: Kind, quantile: float) -> None:
    rng, truth, covered = np.random.default_rng(1), LEVEL * math.exp(kind.truth(quantile)), 0

    for _ in range(MEASUREMENTS):
        launches = LEVEL * np.exp(kind.draw(rng, VALUES))
        values = launch_quantiles(list(launches), quantile)
        assert values is not None
        interval = launch_interval(values)
        covered += interval.low <= truth <= interval.high

    assert 0.93 <= covered / MEASUREMENTS <= 0.97


def test_drifting_launches_are_graded_as_drifting_not_covered() -> None:
    rng, drifting = np.random.default_rng(2), 0
    for _ in range(20):
        launches = LEVEL * np.exp(normal(rng, 300)) * (1 + 0.03 * np.arange(300) / 100)
        assert [warmup_end(list(values)) for values in launches] == [None] * LAUNCHES
        drifting += sum(drift(list(values)).low > 0.01 for values in launches)

    assert drifting / (20 * LAUNCHES) >= 0.99
