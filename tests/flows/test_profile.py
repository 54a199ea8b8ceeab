"""`profile` from end to end on real engines: batches, operators, causes, plans."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.scripted import fake_model
from tests.runtime.tflite_files import convolutions

from edgekit.core.errors import UserError
from edgekit.flows.profile import profile, profile_order

DATA = Path(__file__).parent.parent / "runtime" / "data"
LINEAR = DATA / "linear.onnx"


def test_each_batch_has_a_row_with_its_throughput() -> None:
    report = profile(LINEAR, batch=(8, 1), launches=5, time_limit_s=0.02)

    assert [one.sizes for one in report.latency] == [{"N": 1}, {"N": 8}]
    for row, measurement in zip(report.latency, report.measurements, strict=True):
        assert measurement.sizes == row.sizes
        median = row.quantiles["p50"].value
        assert median is not None
        assert row.throughput.value == pytest.approx(row.sizes["N"] / median)


def test_operators_are_timed_in_a_launch_of_their_own() -> None:
    report = profile(LINEAR, operators=True, launches=1, time_limit_s=0.01)

    (found,) = report.operators
    assert (found.artifact, found.sizes) == ("linear", {"N": 1})
    assert {one.kind for one in found.times} & {"Gemm", "MatMul", "FusedGemm"}
    assert len(report.measurements[0].launches) == 1


def test_operators_of_a_tflite_file_are_timed_and_compared_with_the_latency(tmp_path: Path) -> None:
    report = profile(convolutions(tmp_path / "a.tflite", 1, 8), operators=True, launches=5, time_limit_s=0.02)

    (found,) = report.operators
    assert [(one.name, one.kind) for one in found.times] == [("layer0", "CONV_2D"), ("act0", "LOGISTIC")]
    share = found.share_of_median(report.latency)
    assert share is not None
    assert any("of its median latency together" in text for text in report.warnings) == (abs(share - 1) > 0.3)


def test_an_engine_without_operator_times_says_so(tmp_path: Path) -> None:
    report = profile(fake_model(tmp_path / "a.fake.json"), operators=True, launches=1, time_limit_s=0.01)

    assert any("No operator times of a.fake on local: fake 1" in text for text in report.warnings)


def test_a_model_without_a_free_batch_axis_has_no_batches(tmp_path: Path) -> None:
    path = fake_model(tmp_path / "a.fake.json")
    path.write_text(path.read_text().replace('["N", 2]', "[1, 2]"))

    with pytest.raises(UserError, match="has no dynamic batch axis"):
        profile(path, batch=(1, 8))


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="batch: expected sizes of at least 1"):
        profile(LINEAR, batch=(0,))


def test_the_plan_says_when_it_ends() -> None:
    with profile_order(LINEAR, precision=0.01, time_box_s=30.0, batch=(1, 8), operators=True) as order:
        steps = order.steps()

    assert steps[0] == (
        "measure 'linear' on local: 6 fresh processes, interleaved, each timed for 0.1 s after warm-up; "
        "more, for at most 30 s, until the median is known to ±1 %"
    )
    assert [("batch 8" in step) for step in steps] == [False, True, False]


def test_facts_are_read_again_after_the_last_launch() -> None:
    report = profile(LINEAR, launches=1, time_limit_s=0.01)

    assert report.facts_after.keys() == report.facts.keys() == {"local"}
    assert report.facts_after["local"].cpu == report.facts["local"].cpu
