"""The model card says what was measured, and in what."""

from __future__ import annotations

from edgekit.core.bundle import Artifact, Manifest
from edgekit.core.report import Accuracy, Estimate
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.flows.card import model_card


def test_the_metric_is_named_beside_its_value() -> None:
    spec = ModelSpec("net", "regression", (TensorSpec("x", "float32", ("N", 3)),))
    artifact = Artifact("onnx-fp32", "a.onnx", "onnx", "fp32", 700, "0" * 64, "1" * 64, (), ())
    error = Estimate(0.25, 0.2, 0.3, 100)

    card = model_card(
        Manifest(spec, (artifact,), {}, "2026-01-01"), (), (Accuracy("onnx-fp32", "here", "mae", error, error, error),)
    )

    assert "| mae |" in card
    assert "0.25 (95 %: 0.2 to 0.3, n = 100)" in card
