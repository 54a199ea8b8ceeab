"""`edgekit build` on networks of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Report
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.source import SourceOptions

pytestmark = pytest.mark.slow


def build(source: str, out: Path, options: SourceOptions, **more: object) -> Report:
    return edgekit.build(
        source,
        out=out,
        options=options,
        settings=Settings(launches=5),
        time_limit_s=0.05,
        **more,  # type: ignore[arg-type]  # plain options
    )


def assert_complete(report: Report) -> None:
    assert [artifact.precision for artifact in report.artifacts] == ["fp32", "int8", "fp32", "int8"]
    assert {check.verdict for check in report.parity} == {Verdict.PASS}
    assert len(report.measurements) == 4
    assert all(len(one.launches) == 5 for one in report.measurements)


def test_a_net_with_labels_gets_accuracy_with_a_paired_interval(
    nets: Path, digit_samples: Path, tmp_path: Path
) -> None:
    report = build(f"{nets}:small", tmp_path / "out", SourceOptions(samples=digit_samples, calibration=64))

    assert_complete(report)
    assert report.split is not None
    assert report.split.calibration + report.split.evaluation == 240
    assert all(row.drop.low is not None and row.drop.low <= 0 <= (row.drop.high or 0) for row in report.accuracy[:1])
    assert (tmp_path / "out" / "report.html").is_file()


def test_two_inputs_and_two_outputs_are_all_checked(nets: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", a=rng.normal(size=(64, 4)).astype("f4"), b=rng.normal(size=(64, 6)).astype("f4"))

    report = build(f"{nets}:two_by_two", tmp_path / "out", SourceOptions(samples=tmp_path / "s.npz"))

    assert_complete(report)
    assert {check.output for check in report.parity if check.kind != "share"} == {"output_0", "output_1"}


def test_a_free_sequence_axis_is_free_in_onnx_and_signatures_in_tflite(nets: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", x=rng.normal(size=(64, 16, 4)).astype("f4"))
    options = SourceOptions(samples=tmp_path / "s.npz", inputs=("x:float32[N,T,4]",), sizes=("N=1,2", "T=8,16"))

    report = build(f"{nets}:sequence", tmp_path / "out", options)

    assert_complete(report)
    free, fixed = report.artifacts[0], report.artifacts[2]
    assert free.inputs[0].shape == ("N", "T", 4)
    assert {tuple(sorted(one.sizes.items())) for one in fixed.signatures} == {
        (("N", n), ("T", t)) for n in (1, 2) for t in (8, 16)
    }
    lengths = {check.case for check in report.parity if check.artifact == "onnx-fp32"}
    assert len(lengths) >= 6


def test_integer_inputs_go_through_every_artifact(nets: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", tokens=rng.integers(0, 20, (64, 12)), label=rng.integers(0, 2, 64))

    report = build(f"{nets}:tokens", tmp_path / "out", SourceOptions(samples=tmp_path / "s.npz"))

    assert_complete(report)


def test_samples_without_labels_leave_accuracy_null_with_the_reason(
    nets: Path, digit_samples: Path, tmp_path: Path
) -> None:
    with np.load(digit_samples) as labelled:
        np.savez(tmp_path / "bare.npz", x=labelled["x"])
    options = SourceOptions(samples=tmp_path / "bare.npz")

    report = build(f"{nets}:small", tmp_path / "out", options, to="onnx-fp32")

    assert report.accuracy[0].quality.value is None
    assert "label" in report.accuracy[0].quality.reason
    with pytest.raises(UserError, match="needs samples with labels"):
        build(f"{nets}:small", tmp_path / "other", options, to="onnx-fp32", budget="accuracy >= 90 %")
    assert not (tmp_path / "other").exists()


def test_int8_without_real_samples_is_refused(nets: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="real samples"):
        build(f"{nets}:small", tmp_path / "out", SourceOptions(inputs=("x:float32[N,1,8,8]",)))

    assert not (tmp_path / "out").exists()
