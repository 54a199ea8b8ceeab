"""What is said beside a report: the command that finds where a failed artifact goes wrong."""

from __future__ import annotations

import msgspec
from tests.report.made_up import variants

from edgekit.cli.reports import bisect_command
from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict


def failing(*names: str) -> Report:
    """A report in which these artifacts, and no others, fail parity."""
    report = variants.passed()
    checks = tuple(
        msgspec.structs.replace(check, verdict=Verdict.FAIL if check.artifact in names else Verdict.PASS)
        for check in report.parity
    )
    return msgspec.structs.replace(report, parity=checks)


def test_a_failed_artifact_is_bisected_against_the_float_one_of_its_format() -> None:
    command = bisect_command(failing("tflite-int8-static"))

    assert command == "edgekit bisect out/digits tflite-fp32 tflite-int8-static"


def test_a_failed_float_artifact_is_bisected_against_another_sound_one() -> None:
    assert bisect_command(failing("tflite-fp32")) == "edgekit bisect out/digits onnx-fp32 tflite-fp32"
    assert bisect_command(failing("tflite-fp32", "onnx-fp32")) == "edgekit bisect out/digits torch onnx-fp32"


def test_a_sound_report_needs_none() -> None:
    assert bisect_command(failing()) == ""
