"""`edgekit build digits` as a user types it: the document, the budgets, the verdict and the exit code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.cli.main import run
from edgekit.export.formats import FORMATS

pytestmark = pytest.mark.slow

Build = Callable[..., tuple[int, dict[str, Any]]]
INT8 = "onnx-int8"


@pytest.fixture
def build(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Build:
    """`build(*arguments)`: the exit code and the document of `edgekit build digits --json`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        short = ("--launches", "5", "--time-limit", "20ms", "--out", "out", "--json")
        exit_code = run(["build", "digits", "--target", "local", *short, *arguments])
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return exit_code, document

    return call


def test_the_document_holds_all_that_was_found_out(build: Build, tmp_path: Path) -> None:
    exit_code, report = build("--budget", "latency.p90 <= 1 s, size <= 1 MB")

    assert exit_code == 0
    assert len(report["artifacts"]) == 4
    for artifact in report["artifacts"]:
        name = artifact["recipe"]
        assert artifact["size_bytes"] == (tmp_path / "out" / "bundle" / artifact["file"]).stat().st_size
        assert [check for check in report["parity"] if check["artifact"] == name and check["verdict"] == "pass"]
        (quality,) = [row for row in report["accuracy"] if row["artifact"] == name]
        assert quality["quality"]["low"] < quality["quality"]["value"] <= quality["quality"]["high"]
        assert quality["drop"]["low"] <= quality["drop"]["value"] <= quality["drop"]["high"]
        (measured,) = [row for row in report["measurements"] if row["artifact"] == name]
        assert len(measured["launches"]) == 5
        assert all(len(launch["values"]) >= 30 for launch in measured["launches"])
        assert len([row for row in report["budgets"] if row["artifact"] == name]) == 2
    written = json.loads((tmp_path / "out" / "report.json").read_text())
    assert written == report


def test_a_latency_that_none_reaches_fails_and_says_by_how_much(build: Build) -> None:
    exit_code, report = build("--to", "onnx-fp32", "--budget", "latency.p90 <= 1 ns")

    (row,) = report["budgets"]
    assert exit_code == 1
    assert row["verdict"] == "fail"
    assert row["excess"] == pytest.approx(row["estimate"]["value"] - 1e-9)


def test_a_size_that_only_int8_meets_chooses_int8_and_one_that_none_meets_fails(build: Build) -> None:
    both = ("--to", f"onnx-fp32,{INT8}")
    _, sizes = build(*both)
    small, large = sorted(artifact["size_bytes"] for artifact in sizes["artifacts"])

    exit_code, report = build(*both, "--force", "--budget", f"size <= {(small + large) // 2} B")
    failed, failure = build(*both, "--force", "--budget", f"size <= {small - 1} B")

    assert exit_code == 0
    assert report["outcomes"][0]["chosen"].startswith(INT8)
    assert failed == 1
    assert failure["outcomes"][0]["chosen"] is None


def test_an_accuracy_drop_that_the_samples_cannot_show_is_inconclusive(build: Build) -> None:
    exit_code, report = build("--to", "onnx-fp32", "--budget", "accuracy.drop <= 0.01 pt")

    assert exit_code == 4
    assert report["verdict"] == "inconclusive"


def test_a_converter_that_changes_a_weight_fails_parity_and_is_named(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker finds the test exporter, which changes a weight after the real conversion, by PYTHONPATH.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "export"))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "export"))
    location = "fake_exporters:Perturbing"
    row = dataclasses.replace(FORMATS["onnx"], exporter=location, quantizer=location)
    monkeypatch.setitem(FORMATS, "onnx", row)

    exit_code, report = build("--to", "onnx-fp32")

    (check, *_) = [check for check in report["parity"] if check["verdict"] == "fail"]
    assert exit_code == 1
    assert (check["artifact"], check["output"]) == ("onnx-fp32", "logits")
    assert check["sample"] is not None
    assert check["value"] > check["limit"]
    assert report["measurements"] == []


def test_the_bundle_is_used_from_python(build: Build, tmp_path: Path) -> None:
    build("--to", "onnx-fp32,tflite-int8")

    answers = edgekit.run(tmp_path / "out" / "bundle", input=["sample:0", "sample:1"], artifact="tflite-int8")
    checked = edgekit.validate(tmp_path / "out" / "bundle")

    assert [answer.scores[0].probability > 0.5 for answer in answers.answers] == [True, True]
    assert checked.verdict == "pass"
