"""Where a JobResult becomes a Launch: warm-up ends where the calls show it, and a drift has no median."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
import pytest
from tests.core.statistics.test_steady import noise, traces, warmup

from edgekit.core.facts import Facts
from edgekit.core.job import JobResult
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.statistics.trust import grade
from edgekit.flows.measuring.summary import energy, quantile_estimate, quantiles, to_launch
from edgekit.runtime.timing import warm_up


def result(warmups: Sequence[float], values: Sequence[float], **more: float) -> JobResult:
    return JobResult(
        backend="fake",
        engine="fake 1",
        provider="cpu",
        values=tuple(values),
        warmups=tuple(warmups),
        load_s=1.0,
        first_run_s=1.0,
        energy_j=more.get("energy_j"),
        nivcsw=int(more.get("nivcsw", 0)),
    )


def launched(trace: Sequence[float]) -> Launch:
    """The trace as the calls of a process, timed by the real runner up to its last value."""
    now, calls = 0, iter(trace)

    def call() -> None:
        nonlocal now
        now += round(1e9 * next(calls))

    warm = warm_up(call, clock=lambda: now, time_limit_s=1e9)
    return to_launch(0, result(warm, [*calls]))


def is_right(found: Launch, end: int) -> bool:
    return abs(len(found.warmups) - end) <= max(1.0, 0.1 * end)


@pytest.mark.parametrize("kind", ["exponential", "step", "ramp", "two tiers"])
def test_the_right_end_is_found_from_what_a_runner_gives(kind: str) -> None:
    found = [is_right(launched(list(trace)), end) for trace, end in traces(kind, 8, (500, 1000), seed=11)]

    assert np.mean(found) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exponential", "step", "ramp", "two tiers"])
def test_the_right_end_is_found_in_95_of_100_of_the_detectors_traces(kind: str) -> None:
    found = [is_right(launched(list(trace)), end) for trace, end in traces(kind, 200, (500, 1000), seed=1)]

    assert np.mean(found) >= 0.95


def test_the_median_after_a_step_is_that_of_the_level_after_it() -> None:
    for trace, end in traces("step", 6, (500, 1000), seed=12):
        assert median(launched(list(trace)).values) == pytest.approx(float(np.median(trace[end:])), rel=0.02)


@pytest.mark.parametrize("calls", [20, 60])
def test_short_launches_lose_their_warmup_too(calls: int) -> None:
    rng, missed = np.random.default_rng(13), []
    for _ in range(8):
        end = int(rng.integers(6, calls // 2 - 2))
        trace = noise(rng, calls, 0.005, 0.0, outliers=0.0) * (1 + warmup("step", calls, end, 0.5))
        missed.append(abs(median(launched(list(trace)).values) - 1))

    assert max(missed) <= 0.02


def test_every_call_is_kept_in_order() -> None:
    calls = [3.0] * 30 + [1.0] * 60
    launch = to_launch(0, result(calls[:5], calls[5:]))

    assert [*launch.warmups, *launch.values] == calls
    assert len(launch.warmups) == 30


def test_too_few_calls_keep_the_end_that_the_runner_gave() -> None:
    launch = to_launch(0, result([9.0, 9.0, 9.0], [9.0] * 4 + [1.0] * 4))

    assert len(launch.warmups) == 3


def test_a_change_of_level_in_a_disturbed_launch_is_no_warmup() -> None:
    rng = np.random.default_rng(14)
    phases = noise(rng, 400, 0.01, 0.0) * np.repeat([1.3, 1.0, 1.15, 1.0], 100)

    quiet = to_launch(0, result(phases[:5], phases[5:]))
    disturbed = to_launch(0, result(phases[:5], phases[5:], nivcsw=400))

    assert len(quiet.warmups) > 5
    assert len(disturbed.warmups) == 5


def test_joules_are_divided_by_the_calls_that_the_sensor_saw() -> None:
    launches = tuple(to_launch(i, result([3.0] * 5, [3.0] * 15 + [1.0] * 60, energy_j=150.0)) for i in range(5))

    assert len(launches[0].values) == 60
    assert energy(Measurement("pi", "onnx-fp32", "latency", "s", launches)).value == pytest.approx(2.0)


def measured(change: float, calls: int, launches: int = 6) -> Measurement:
    """Launches that change by `change` in 100 calls, with 1 % noise."""
    rng = np.random.default_rng(15)
    line = 1e-3 * (1 + change * np.arange(calls) / 100)
    found = [launched(list(line * noise(rng, calls, 0.01, 0.0, outliers=0.01))) for _ in range(launches)]
    return Measurement("pi", "onnx-fp32", "latency", "s", tuple(found))


@pytest.mark.parametrize("calls", [100, 300])
def test_a_device_that_slows_by_five_percent_in_100_calls_has_no_median(calls: int) -> None:
    slowing = measured(0.05, calls)

    found = quantiles(slowing)

    assert list(found) == ["p50"]
    assert found["p50"].value is None
    assert "slower" in found["p50"].reason
    quiet = Facts(governor="performance", clock_hz=2e9, temperature_c=40.0)
    assert grade(slowing, quiet, quiet).grade == "C"


def test_a_device_at_its_level_has_a_median() -> None:
    assert quantile_estimate(measured(0.0, 300), 0.5).value == pytest.approx(1e-3, rel=0.01)


def test_a_short_launch_may_change_by_less_than_a_percent() -> None:
    slightly = [Launch(i, tuple(1e-3 * (1 + 0.02 * call / 100) for call in range(30))) for i in range(6)]

    estimate = quantile_estimate(Measurement("pi", "onnx-fp32", "latency", "s", tuple(slightly)), 0.5)

    assert estimate.value is not None
    assert math.isclose(estimate.value, 1e-3, rel_tol=0.01)
