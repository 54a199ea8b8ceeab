"""Promises of core/measurement.py."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.core.measurement import CallParts, Launch, Measurement

LAUNCHES = (Launch(0, (0.002, 0.001), (0.009,)), Launch(1, (0.003,)))


def test_raw_values_and_warm_ups_are_kept_apart_and_in_order() -> None:
    measurement = Measurement("local", "onnx-fp32", "latency", "s", LAUNCHES)

    assert measurement.launch_values == ((0.002, 0.001), (0.003,))
    assert measurement.launches[0].warmups == (0.009,)


def test_a_measurement_cannot_be_changed() -> None:
    measurement = Measurement("local", "onnx-fp32", "latency", "s", LAUNCHES)

    with pytest.raises(AttributeError):
        measurement.launches = ()  # type: ignore[misc]  # this is what must fail


def test_a_fact_that_is_missing_is_null_and_not_zero() -> None:
    document = msgspec.to_builtins(Measurement("local", "onnx-fp32", "latency", "s", LAUNCHES))

    assert document["launches"][1]["load_s"] is None
    assert document["launches"][1]["peak_memory_bytes"] is None


PARTS = CallParts((0.009, 0.001, 0.004), (0.009, 0.002, 0.002), (0.009, 0.004, 0.001), warmups=1)


def test_a_whole_call_is_the_sum_of_its_parts_call_by_call_and_its_warm_up_is_apart() -> None:
    launches = (msgspec.structs.replace(LAUNCHES[0], end_to_end=PARTS), LAUNCHES[1])
    measurement = Measurement("local", "onnx-fp32", "latency", "s", launches)

    whole, read = measurement.part("end_to_end"), measurement.part("preprocess")

    (sums,) = whole.launch_values
    assert sums == pytest.approx((0.007, 0.007))
    assert whole.launches[0].warmups == pytest.approx((0.027,))
    assert (whole.metric, read.launch_values) == ("end_to_end", ((0.001, 0.004),))
    assert measurement.launch_values == ((0.002, 0.001), (0.003,))
