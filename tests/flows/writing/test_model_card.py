"""The model card says what was measured, and in what."""

from __future__ import annotations

from edgekit.core.bundle import Artifact, Manifest
from edgekit.core.reports.report import Accuracy, Estimate, ParityCheck
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.flows.writing.model_card import model_card


def test_the_metric_is_named_beside_its_value() -> None:
    spec = ModelSpec("net", "regression", (TensorSpec("x", "float32", ("N", 3)),))
    artifact = Artifact("onnx-fp32", "a.onnx", "onnx", "fp32", 700, "0" * 64, "1" * 64, (), ())
    error = Estimate(0.25, 0.2, 0.3, 100)

    card = model_card(
        Manifest(spec, (artifact,), {}, "2026-01-01"), (), (Accuracy("onnx-fp32", "here", "mae", error, error, error),)
    )

    assert "| mae |" in card
    assert "0.25 (95 %: 0.2 to 0.3, n = 100)" in card


def test_the_area_under_a_curve_is_a_share_as_in_every_report() -> None:
    spec = ModelSpec("net", "anomaly", (TensorSpec("x", "float32", ("N", 3)),))
    artifact = Artifact("onnx-fp32", "a.onnx", "onnx", "fp32", 700, "0" * 64, "1" * 64, (), ())
    row = Accuracy("onnx-fp32", "here", "auc", Estimate(0.9), Estimate(0.91), Estimate(0.01), 0.02)

    card = model_card(Manifest(spec, (artifact,), {}, "2026-01-01"), (), (row,))

    assert "| 90.00 % | 1.00 pt | 2.00 pt |" in card


def test_parity_figures_and_what_stays_float_are_told() -> None:
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 3)),))
    kept = {"tensor": "relu", "operator": "Relu", "module": "body.0", "added": 0.2, "drop_without": 0.031}
    record = {"float_tensors": [kept]}
    artifact = Artifact("onnx-int8", "a.onnx", "onnx", "int8", 700, "0" * 64, "1" * 64, (), (), record=record)
    check = ParityCheck(
        "onnx-int8",
        "onnxruntime",
        "samples",
        "y",
        "sqnr",
        31.0,
        20.0,
        Verdict.PASS,
        max_abs=0.5,
        mean_abs=0.1,
        sqnr_db=31.0,
        cosine=0.9995,
        top1=0.99,
    )

    card = model_card(Manifest(spec, (artifact,), {}, "2026-01-01"), (check,), ())

    assert "| `onnx-int8` | `y` | 0.5 | 0.1 | 31.0 dB | 0.999500 | 99.00 % |" in card
    assert "keeps `relu` of `body.0` in float32" in card
    assert "the drop is 3.10 pt" in card
