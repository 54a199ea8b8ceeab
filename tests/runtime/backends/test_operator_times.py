"""Operator times, from ONNX Runtime's own profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.runtime.backend import BACKENDS, TimesOperators
from edgekit.runtime.backends.onnxruntime import OnnxRuntime
from edgekit.runtime.backends.operator_times import read_operators

DATA = Path(__file__).parents[1] / "data"


def event(name: str, kind: str, duration_us: int) -> dict[str, object]:
    return {
        "cat": "Node",
        "name": f"{name}_kernel_time",
        "dur": duration_us,
        "args": {"op_name": kind, "provider": "CPUExecutionProvider"},
    }


def test_every_operator_has_its_median_after_the_warm_ups() -> None:
    events = [
        *(event("conv", "Conv", duration) for duration in (900, 10, 12, 11)),
        *(event("act", "Relu", duration) for duration in (50, 2, 2, 2)),
        {"cat": "Session", "name": "model_run", "dur": 5},
    ]

    found = read_operators(events, warmups=1)

    assert [(one.name, one.kind, one.provider, one.seconds) for one in found] == [
        ("conv", "Conv", "cpu", 11e-6),
        ("act", "Relu", "cpu", 2e-6),
    ]


def test_the_engine_names_the_operators_of_a_real_file() -> None:
    found = OnnxRuntime().operators(DATA / "linear.onnx", {}, {"x": np.zeros((2, 3), np.float32)})

    assert [one.provider for one in found] == ["cpu"] * len(found)
    assert {one.kind for one in found} & {"Gemm", "MatMul", "FusedGemm"}


def test_backends_say_whether_they_can() -> None:
    assert isinstance(BACKENDS.get("onnxruntime")(), TimesOperators)
    assert not isinstance(BACKENDS.get("fake")(), TimesOperators)
