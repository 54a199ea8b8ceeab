"""Promises of core/statistics/steady.py, measured on synthetic traces with a known end of warm-up."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from scipy.signal import lfilter

from edgekit.core.statistics.steady import MIN_FITTED, MIN_VALUES, common_drift, drift, likely_end, warmup_end

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


@pytest.mark.parametrize(("slope", "count"), [(0.01, 400), (-0.02, 400), (0.0, 7)])
def test_a_drift_is_the_line_through_the_means_of_its_batches(slope: float, count: int) -> None:
    # Uniform noise stays within 2.5 of its sigmas, so that no value is pulled.
    rng = np.random.default_rng(10)
    values = 5e-3 * (1 + slope * np.arange(count) / 100 + rng.uniform(-0.01, 0.01, count))
    batches = min(20, count)
    line = stats.linregress(np.arange(batches), [part.mean() for part in np.array_split(values, batches)])
    scale = 100 * batches / count / (np.median(values) - abs(line.slope) * batches / 2)
    half = float(stats.t.ppf(0.9975, batches - 2)) * line.stderr

    found = drift(list(values))

    ends = [scale * (line.slope + side * half) for side in (0, -1, 1)]
    assert (found.value, found.low, found.high) == pytest.approx(ends, rel=1e-9)
    assert found.n == count


def test_an_outlier_counts_as_two_and_a_half_sigmas_whatever_its_size() -> None:
    values = noise(np.random.default_rng(11), 400, 0.01, 0.0, outliers=0.0) * (1 + 0.02 * np.arange(400) / 100)
    clean = drift(list(values))
    found = []
    for factor in (10.0, 1000.0):
        values[390] = factor
        found.append(drift(list(values)))

    assert found[0].value == pytest.approx(found[1].value, rel=1e-9)
    assert found[0].value == pytest.approx(clean.value, rel=0.03)


def test_outliers_on_either_side_count_the_same() -> None:
    ripple = 1 + 0.01 * np.tile([1.0, -1.0, 0.5, -0.5], 100)
    slow, fast = ripple.copy(), ripple.copy()
    slow[390], fast[391] = 1.5, 0.5

    assert drift(list(slow)).value == pytest.approx(-drift(list(fast)).value, rel=0.03)
    assert drift(list(slow)).value > 1e-5


def excess(kind: str, x: Floats) -> Floats:
    shapes = {"exponential": np.exp(-x), "bell": np.exp(-x * x), "ramp": np.maximum(0.0, 1 - x), "step": x < 1}
    return np.asarray(shapes[kind], np.float64)


@pytest.mark.parametrize(
    ("kind", "end"),
    [("exponential", 40 * math.log(50)), ("bell", 40 * math.sqrt(math.log(50))), ("ramp", 40 * 0.98), ("step", 40)],
)
@pytest.mark.parametrize("size", [0.5, -0.5])
def test_each_kind_of_warmup_ends_within_one_percent_of_the_level(kind: str, size: float, end: float) -> None:
    trace = noise(np.random.default_rng(12), 500, 0.002, 0.0, outliers=0.0)
    trace *= 1 + size * excess(kind, np.arange(500) / 40)

    assert warmup_end(list(trace)) == pytest.approx(end, rel=0.05, abs=1)


def test_the_end_of_a_long_warmup_is_found_among_thousands_of_calls() -> None:
    trace = noise(np.random.default_rng(18), 4000, 0.005, 0.0)
    trace[:1234] *= 1.3

    assert warmup_end(list(trace)) == pytest.approx(1234, abs=12)


@pytest.mark.parametrize(("size", "end"), [(0.008, 0), (0.03, 100)])
def test_a_warmup_counts_from_two_percent_on(size: float, end: int) -> None:
    trace = noise(np.random.default_rng(13), 500, 0.002, 0.0, outliers=0.0)
    trace[:100] *= 1 + size

    assert likely_end(list(trace)) == pytest.approx(end, abs=1)


@pytest.mark.parametrize("seed", [2, 8, 13])
def test_noise_that_wanders_asks_for_more_evidence(seed: int) -> None:
    assert likely_end(list(noise(np.random.default_rng(seed), 300, 0.02, 0.9, outliers=0.0))) == 0


def test_what_follows_a_warmup_may_be_another() -> None:
    tiers = noise(np.random.default_rng(15), 600, 0.002, 0.0, outliers=0.0)
    tiers[:20] *= 5
    tiers[20:120] *= 1.1

    assert warmup_end(list(tiers)) == pytest.approx(120, abs=2)


def test_a_warmup_that_has_not_ended_ends_at_half_of_the_values() -> None:
    trace = noise(np.random.default_rng(16), 200, 0.002, 0.0, outliers=0.0) * (1 + warmup("step", 200, 120, 0.5))

    assert likely_end(list(trace)) == 100
    assert likely_end([1.0] * (MIN_FITTED - 1)) is None
    assert likely_end([1.0] * MIN_FITTED) == 0


def launches(slopes: list[float], count: int = 200) -> list[list[float]]:
    return [list(1e-3 * (1 + slope * np.arange(count) / 100)) for slope in slopes]


def test_a_drift_in_common_is_the_mean_of_the_launches() -> None:
    slopes = [0.02, 0.021, 0.022, 0.019]

    found = common_drift(launches(slopes), 200)

    assert found == pytest.approx(np.mean(slopes), rel=0.02)
    assert common_drift([*launches(slopes), [1.0, 2.0, 3.0, 4.0]], 200) == found
    assert common_drift([*launches(slopes[:3]), *launches([0.019], 5)], 200) != found


@pytest.mark.parametrize(
    ("slopes", "calls"), [([0.02], 200), ([0.05, -0.05, 0.04], 200), ([0.005] * 4, 200), ([0.015] * 4, 50)]
)
def test_a_drift_of_one_launch_of_both_signs_or_too_small_is_none(slopes: list[float], calls: int) -> None:
    assert common_drift(launches(slopes), calls) == 0.0


def test_in_short_launches_a_drift_counts_from_one_percent_within_a_launch() -> None:
    assert common_drift(launches([0.015, 0.0151, 0.0149]), 100) == pytest.approx(0.015, rel=0.02)
    assert common_drift(launches([-0.015, -0.0151, -0.0149]), 1000) == pytest.approx(-0.015, rel=0.05)
    assert common_drift(launches([0.025, 0.0251]), 50) == pytest.approx(0.025, rel=0.05)
