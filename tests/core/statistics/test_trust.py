"""Trust grades and their reasons."""

from __future__ import annotations

import msgspec
import numpy as np

from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.statistics.trust import grade, has_two_modes

QUIET = Facts(governor="performance", clock_hz=2e9, temperature_c=40.0)


def measurement(*, launches: int = 8, noise: float = 0.01, **changes: bool) -> Measurement:
    rng = np.random.default_rng(1)
    values = [tuple(float(v) for v in 1e-3 * (1 + noise * rng.random(60))) for _ in range(launches)]
    disturbed = changes.get("disturbed", False)
    runs = tuple(Launch(order, value, disturbed=disturbed and order == 0) for order, value in enumerate(values))
    return Measurement("pi", "onnx-fp32", "latency", "s", runs, emulated=changes.get("emulated", False))


def test_a_quiet_measurement_is_graded_a_without_reasons() -> None:
    trust = grade(measurement(), QUIET, QUIET)

    assert (trust.grade, trust.reasons) == ("A", ())


def test_one_reason_gives_b_and_says_what_would_mend_it() -> None:
    trust = grade(measurement(), Facts(governor="ondemand"), Facts(governor="ondemand"))

    assert trust.grade == "B"
    assert "ondemand" in trust.reasons[0]
    assert "performance" in trust.raise_by


def test_several_reasons_give_c() -> None:
    hot = Facts(governor="performance", clock_hz=2e9, temperature_c=60.0, throttled=True)

    trust = grade(measurement(disturbed=True), QUIET, hot)

    assert trust.grade == "C"
    assert len(trust.reasons) == 3


def test_a_device_that_was_throttled_throughout_is_graded_by_it() -> None:
    # vcgencmd said 0x50005 before, and what came after the launches had no such fact: B for the governor alone.
    weak = msgspec.structs.replace(QUIET, throttled=True)
    unread = msgspec.structs.replace(QUIET, throttled=None)

    before = grade(measurement(), weak, unread)
    during = grade(measurement(), QUIET, QUIET, [QUIET, QUIET, QUIET, weak])

    assert (before.grade, before.reasons) == ("B", ("the device was throttled before the first launch",))
    assert during.reasons == ("the device was throttled in 1 of 2 launches",)
    assert grade(measurement(), msgspec.structs.replace(weak, governor=None), weak, [weak, weak]).grade == "C"


def test_a_sensor_is_compared_with_itself_and_named() -> None:
    # The processor's sensor before, and the hottest zone after: "warmed by 59 °C" on a device that stayed as it was.
    cool = msgspec.structs.replace(QUIET, temperature_c=41.0, sensors={"cpu-thermal": 41.0})
    other = msgspec.structs.replace(QUIET, temperature_c=100.0, sensors={"pmic": 100.0})
    both = msgspec.structs.replace(QUIET, temperature_c=100.0, sensors={"cpu-thermal": 53.0, "pmic": 100.0})

    assert grade(measurement(), cool, other).grade == "A"
    assert grade(measurement(), cool, msgspec.structs.replace(QUIET, temperature_c=100.0)).grade == "A"
    warmed = grade(measurement(), cool, both)
    assert warmed.reasons == ("the device warmed up by 12 °C (cpu-thermal: 41 to 53 °C)",)


def test_a_core_is_compared_with_itself_and_named() -> None:
    # The fastest core before, and cpu0 after: "the clock changed from 2.40 to 1.80 GHz" with constant clocks.
    steady = msgspec.structs.replace(QUIET, clock_hz=2.4e9, clocks={"policy0": 1.8e9, "policy4": 2.4e9})
    little = msgspec.structs.replace(QUIET, clock_hz=1.8e9)
    slower = msgspec.structs.replace(QUIET, clock_hz=1.8e9, clocks={"policy0": 1.8e9, "policy4": 1.2e9})
    idle = msgspec.structs.replace(QUIET, clock_hz=2.4e9, clocks={"policy0": 2.4e9, "policy4": 0.6e9})

    assert grade(measurement(), steady, steady).grade == "A"
    assert grade(measurement(), steady, little).grade == "A"
    assert grade(measurement(), steady, slower).reasons == ("the clock of policy4 changed from 2.40 to 1.20 GHz",)
    assert grade(measurement(), steady, idle).grade == "A", "another core is as fast"


def test_a_load_as_high_as_the_number_of_cores_lowers_the_grade() -> None:
    # It was a "busy neighbour" beside trust A.
    trust = grade(measurement(), msgspec.structs.replace(QUIET, load=14.2, cores=2), QUIET)

    assert (trust.grade, trust.reasons) == ("B", ("the load average was 14.2 on 2 cores before the first launch",))
    assert grade(measurement(), msgspec.structs.replace(QUIET, load=1.1, cores=2), QUIET).grade == "A"


def test_a_long_tail_lowers_the_grade() -> None:
    # p99 was 70 times p50, with trust B for the governor alone.
    rng = np.random.default_rng(3)
    values = [tuple(float(v) for v in 1e-3 * np.where(rng.random(300) < 0.03, 70, 1 + 0.01 * rng.random(300)))
              for _ in range(8)]  # fmt: skip
    runs = tuple(Launch(order, one) for order, one in enumerate(values))

    trust = grade(Measurement("pi", "x", "latency", "s", runs), QUIET, QUIET)

    assert any(reason.startswith("one call in a hundred takes ") for reason in trust.reasons)
    assert trust.raise_by == "Stop other work on the device."


def test_many_launches_that_were_repeated_lower_the_grade() -> None:
    # The scheduler disturbed a third of the attempts: the launches that count are clean by selection.
    found = measurement(launches=8)
    extra = tuple(msgspec.structs.replace(one, order=8 + one.order, disturbed=True, replaced=True)
                  for one in found.launches[:4])  # fmt: skip

    trust = grade(msgspec.structs.replace(found, launches=(*found.launches, *extra)), QUIET, QUIET)

    assert (trust.grade, trust.reasons) == ("B", ("4 of 12 launches were disturbed",))


def test_a_launch_that_slows_down_is_called_drifting() -> None:
    steady = measurement()
    slowing = tuple(
        Launch(one.order, tuple(value * (1 + 0.002 * index) for index, value in enumerate(one.values)))
        for one in steady.launches
    )

    trust = grade(Measurement("pi", "onnx-fp32", "latency", "s", slowing), QUIET, QUIET)

    assert any("drift" in reason for reason in trust.reasons)


def test_too_few_launches_are_named() -> None:
    assert "3 launches" in grade(measurement(launches=3), QUIET, QUIET).reasons[0]


def test_a_steady_clock_makes_up_for_another_governor() -> None:
    scaled = Facts(governor="schedutil", clock_hz=1.5e9)

    assert grade(measurement(), scaled, Facts(governor="schedutil", clock_hz=1.51e9)).grade == "A"


def test_a_governor_that_cannot_be_read_is_a_reason() -> None:
    assert "cannot be read" in grade(measurement(), Facts(), Facts()).reasons[0]


def test_emulation_is_graded_e_whatever_else_holds() -> None:
    assert grade(measurement(emulated=True), QUIET, QUIET).grade == "E"


def test_launches_of_two_kinds_are_named() -> None:
    found = measurement(launches=8)
    runs = tuple(
        Launch(one.order, tuple(value * (1.2 if one.order % 3 == 0 else 1.0) for value in one.values))
        for one in found.launches
    )

    trust = grade(Measurement("pi", "onnx-fp32", "latency", "s", runs), QUIET, QUIET)

    assert any("two groups, 2" in reason for reason in trust.reasons)


def test_launches_of_one_kind_are_rarely_called_two() -> None:
    rng = np.random.default_rng(0)

    called = [has_two_modes(list(np.exp(rng.normal(0, 0.02, 8)))) for _ in range(500)]

    assert sum(called) <= 2


def test_a_launch_that_was_repeated_does_not_count() -> None:
    found = measurement(disturbed=True)
    runs = tuple(msgspec.structs.replace(one, replaced=one.disturbed) for one in found.launches)

    assert grade(Measurement("pi", "onnx-fp32", "latency", "s", runs), QUIET, QUIET).grade == "A"


def test_a_clock_that_changes_under_a_fixed_governor_is_named() -> None:
    trust = grade(measurement(), QUIET, Facts(governor="performance", clock_hz=1.5e9, temperature_c=40.0))

    assert "2.00 to 1.50 GHz" in trust.reasons[0]


def test_launches_that_drift_apart_are_named() -> None:
    rng = np.random.default_rng(2)
    slopes = [0.2 if order % 2 else -0.2 for order in range(8)]
    runs = tuple(
        Launch(order, tuple(float(1e-3 * (1 + slope * call / 100 + 1e-3 * rng.random())) for call in range(100)))
        for order, slope in enumerate(slopes)
    )

    trust = grade(Measurement("pi", "onnx-fp32", "latency", "s", runs), QUIET, QUIET)

    assert "8 of 8 launches drift, in different directions" in trust.reasons


def test_launches_of_too_few_values_are_named() -> None:
    runs = tuple(Launch(order, (1e-3,)) for order in range(8))

    assert "too few values per launch" in grade(Measurement("pi", "x", "latency", "s", runs), QUIET, QUIET).reasons
