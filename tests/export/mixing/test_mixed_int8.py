"""`onnx-int8` keeps its worst operators in float32 before it gives up integers altogether."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.core.verdict import Verdict
from edgekit.export.request import ExportRequest, ExportResult

Request = Callable[..., ExportRequest]
Convert = Callable[[ExportRequest], ExportResult]


@pytest.mark.slow
def test_int8_that_fails_keeps_what_costs_quality_in_float(
    convert: Convert, request_for: Request, static_int8: str, tmp_path: Path
) -> None:
    result = convert(request_for("Shifted", "x:float32[N,1,8,8]", "onnx-int8"))

    (made,) = result.artifacts
    assert made.recipe == static_int8
    assert {check.verdict for check in result.parity} == {Verdict.PASS}
    assert made.quantized is not None
    assert made.quantized.work is not None
    assert 0.5 <= made.quantized.work < 1
    assert made.record["float_tensors"]
    assert any("in int8 throughout, 'output' on 'samples': sqnr" in text for text in made.warnings)
    assert [path.name for path in (tmp_path / "out").glob("*.onnx")] == [f"{static_int8}.onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_dynamic_int8_that_fails_keeps_what_costs_quality_in_float(
    convert: Convert, request_for: Request, target: str
) -> None:
    result = convert(request_for("Lifted", "x:float32[N,6,16]", f"{target}-int8"))

    (made,) = result.artifacts
    assert made.recipe.startswith(f"{target}-int8-dynamic")
    assert {check.verdict for check in result.parity} == {Verdict.PASS}
    assert made.quantized is not None
    assert made.quantized.work is not None
    assert 0.5 <= made.quantized.work < 1
    assert len(made.record["float_tensors"]) == 1


@pytest.mark.slow
def test_without_time_the_search_says_that_it_did_not_end(convert: Convert, request_for: Request) -> None:
    request = request_for("Shifted", "x:float32[N,1,8,8]", "onnx-int8")

    result = convert(replace(request, int8_time_s=0.0))

    assert "--int8-time" in result.artifacts[0].warnings[-1]
