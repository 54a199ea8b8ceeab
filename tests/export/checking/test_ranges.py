"""Which quantized tensors are judged by how much of their range they use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.bundle import Artifact
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.checking import ranges
from edgekit.export.checking.ranges import used_shares
from edgekit.export.onnx.tracer import stored_steps

ARTIFACT = Artifact("onnx-int8-static-u8s8", "m.onnx", "onnx", "int8", 1, "0" * 64, "1" * 64, (), ())
SAMPLES = Samples({"x": np.zeros((4, 1), np.float32)})


@pytest.mark.parametrize(
    ("size", "span", "share"),
    [(256, 25, 26 / 256), (64, 255, 1.0), (63, 25, None), (256, 0, None)],
    ids=["a tenth", "all", "too few values", "constant"],
)
def test_shares_are_those_of_tensors_seen_often_enough(
    monkeypatch: pytest.MonkeyPatch, size: int, span: int, share: float | None
) -> None:
    values = np.resize(np.array([0, span], np.int64), size)
    monkeypatch.setattr(ranges, "_runs", lambda *_: iter([{"t": values}] * 4))

    found = used_shares(Path("m.onnx"), ARTIFACT, ModelSpec("m", "other", ()), SAMPLES)

    assert found == ({} if share is None else {"t": share})


def test_a_range_goes_to_zero_wherever_the_values_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    # A sigmoid that is nearly the same everywhere: 230 to 250 steps from zero, and none between.
    values = {"above": np.resize(np.array([230, 250]), 256), "below": np.resize(np.array([-127, -100]), 256)}
    monkeypatch.setattr(ranges, "_runs", lambda *_: iter([values]))

    found = used_shares(Path("m.onnx"), ARTIFACT, ModelSpec("m", "other", ()), SAMPLES)

    assert found == {"above": 251 / 256, "below": 0.5}


@pytest.mark.parametrize("names", [["scale"], ["scale", "zero"]], ids=["none", "seven"])
def test_steps_are_counted_from_the_zero_point_or_from_zero(names: list[str], tmp_path: Path) -> None:
    weights = {"scale": np.float32(0.1), "zero": np.uint8(7)}
    borders = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *names], ["q"]),
        helper.make_node("DequantizeLinear", ["q", *names], ["y"]),
    ]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items() if name in names]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), tmp_path / "m.onnx")

    (found,) = stored_steps(tmp_path / "m.onnx", [{"x": np.array([[0.0, 2.5]], np.float32)}])

    assert found["x"].tolist() == [[0, 25]]
