"""Promises of core/statistics/steady.py, measured on synthetic traces with a known end of warm-up."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter

from edgekit.core.statistics.steady import MIN_VALUES, drift, warmup_end

Floats = npt.NDArray[np.float64]


def noise(rng: np.random.Generator, n: int, sigma: float, correlation: float, outliers: float = 0.02) -> Floats:
    """Log-normal AR(1) noise around 1, shape (n,); a share of `outliers` is 1.2 to 3 times slower."""
    start = 50
    white = rng.standard_normal(n + start) * math.sqrt(1 - correlation**2)
    values = np.exp(sigma * np.asarray(lfilter([1.0], [1.0, -correlation], white), dtype=np.float64)[start:])
    slow = rng.random(n) < outliers
    values[slow] *= rng.uniform(1.2, 3.0, int(slow.sum()))
    return values


def warmup(kind: str, n: int, end: int, size: float) -> Floats:
    """Relative excess of a warm-up, within 1 % of the level from iteration `end` on, shape (n,)."""
    i = np.arange(n)
    if kind == "step":
        return np.where(i < end, size, 0.0)
    if kind == "ramp":
        return size * np.maximum(0.0, 1 - i / (end / (1 - 0.01 / size)))
    if kind == "two tiers":
        return size * (i < end) + 2 * size * (i < end // 4)
    return size * np.exp(-i * math.log(size / 0.01) / end)


def traces(kind: str, count: int, sizes: tuple[int, ...], seed: int) -> Iterator[tuple[Floats, int]]:
    """(trace, end of its warm-up): 0.3 to 2 % noise, half of them autocorrelated, warm-ups 1.2 to 4 times slower."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        n = int(rng.choice(sizes))
        end = int(rng.integers(10, n // 3))
        size = math.exp(rng.uniform(math.log(0.2), math.log(3.0)))
        level = 1.3e-3 * noise(rng, n, rng.uniform(0.003, 0.02), rng.choice([0.0, 0.5]))
        yield level * (1 + warmup(kind, n, end, size)), end


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exponential", "step", "ramp", "two tiers"])
def test_the_end_of_a_warmup_is_found_within_a_tenth_in_95_of_100_traces(kind: str) -> None:
    found = [(warmup_end(list(trace)), end) for trace, end in traces(kind, 200, (500, 1000), seed=1)]

    right = [got is not None and abs(got - end) <= max(1.0, 0.1 * end) for got, end in found]
    assert np.mean(right) >= 0.95


@pytest.mark.slow
def test_short_traces_are_refused_rather_than_misplaced() -> None:
    found = [(warmup_end(list(trace)), end) for trace, end in traces("exponential", 300, (200, 300), seed=2)]

    answered = [abs(got - end) <= max(2.0, 0.1 * end) for got, end in found if got is not None]
    assert np.mean(answered) >= 0.95
    assert len(answered) >= 0.6 * len(found)


@pytest.mark.slow
def test_a_drift_of_one_percent_per_100_iterations_is_called_steady_in_at_most_1_of_100_traces() -> None:
    rng, steady = np.random.default_rng(3), 0
    for _ in range(1000):
        n = int(rng.choice([100, 300, 1000]))
        slope = rng.choice([0.01, -0.01, 0.02, -0.02])
        line = np.exp(slope * np.arange(n) / 100) if slope < 0 else 1 + slope * np.arange(n) / 100
        trace = noise(rng, n, rng.uniform(0.003, 0.03), rng.choice([0.0, 0.5, 0.8])) * line
        steady += warmup_end(list(trace)) is not None

    assert steady <= 10


def test_a_drift_is_measured_with_its_sign() -> None:
    rng = np.random.default_rng(4)
    still = noise(rng, 600, 0.01, 0.5)

    up = drift(list(still * (1 + 0.02 * np.arange(600) / 100)))
    none = drift(list(still))

    assert up.low < 0.02 < up.high
    assert up.low > 0.01
    assert none.low < 0.0 < none.high
    assert max(-none.low, none.high) < 0.01


@pytest.mark.slow
def test_a_trace_without_warmup_is_steady_from_its_first_value() -> None:
    rng = np.random.default_rng(5)

    ends = [warmup_end(list(noise(rng, 600, 0.01, 0.5))) for _ in range(200)]

    assert np.mean([end == 0 for end in ends]) >= 0.97


def test_a_slow_first_call_alone_is_one_warmup() -> None:
    trace = noise(np.random.default_rng(6), 500, 0.01, 0.0)
    trace[0] *= 8

    assert warmup_end(list(trace)) == 1


def test_a_boost_that_ends_is_a_warmup_too() -> None:
    trace = noise(np.random.default_rng(7), 800, 0.01, 0.3)
    trace[:120] *= 0.8

    assert warmup_end(list(trace)) == pytest.approx(120, abs=2)


def test_a_throttling_device_is_not_steady() -> None:
    trace = noise(np.random.default_rng(8), 600, 0.01, 0.3)
    trace[400:] *= 1.15

    assert warmup_end(list(trace)) is None


def test_a_warmup_of_more_than_half_of_the_trace_is_not_steady() -> None:
    trace = noise(np.random.default_rng(9), 400, 0.005, 0.0) * (1 + warmup("step", 400, 260, 0.5))

    assert warmup_end(list(trace)) is None


def test_a_clock_that_repeats_itself_is_steady() -> None:
    assert warmup_end([1.0] * 100) == 0
    assert warmup_end([2.0] * 10 + [1.0] * 100) == 10


def test_too_few_values_show_nothing() -> None:
    assert warmup_end([1.0] * (MIN_VALUES - 1)) is None
    assert warmup_end([1.0] * MIN_VALUES) == 0
