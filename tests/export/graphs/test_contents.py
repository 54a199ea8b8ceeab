"""Operators, weights and work are counted from the file, with sums that can be checked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgekit.core.errors import ModelUnreadable
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.graphs.contents import changes
from edgekit.export.onnx import contents as onnx_contents
from edgekit.export.tflite import contents as tflite_contents

DATA = Path(__file__).parents[2] / "runtime" / "data"
SPEC = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 3, 8, 8)),))


def model(path: Path, *, factor: float = 1.0) -> Path:
    """(N, 3, 8, 8) -> convolution of 4 channels 3x3 -> flat (N, 144) -> dense (N, 5), stored in int8."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": (rng.normal(size=(4, 3, 3, 3)) * factor).astype(np.float32),
        "head.weight_quantized": rng.integers(-127, 127, (144, 5)).astype(np.int8),
        "head.weight_scale": np.float32(0.5),
        "head.weight_zero_point": np.int8(0),
    }
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node(
            "DequantizeLinear", ["head.weight_quantized", "head.weight_scale", "head.weight_zero_point"], ["w"]
        ),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 5])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def test_what_is_counted_can_be_reckoned_by_hand(tmp_path: Path) -> None:
    facts = onnx_contents.read_contents(model(tmp_path / "net.onnx"), SPEC).facts("onnx-int8")

    assert facts.macs == 4 * 6 * 6 * 27 + 144 * 5
    assert facts.parameters == 4 * 27 + 144 * 5
    assert facts.weight_bytes == 4 * 4 * 27 + 144 * 5
    assert facts.quantized_share == pytest.approx(720 / 828)
    assert facts.operators == {"Conv": 1, "Flatten": 1, "DequantizeLinear": 1, "MatMul": 1}
    assert [one.name for one in facts.largest] == ["x", "head.weight", "c", "f", "conv.weight"]
    assert facts.largest[1].size_bytes == 720


def test_weights_are_compared_as_what_they_stand_for(tmp_path: Path) -> None:
    a, b = (
        onnx_contents.read_contents(model(tmp_path / "a.onnx"), SPEC),
        onnx_contents.read_contents(model(tmp_path / "b.onnx", factor=1.05), SPEC),
    )

    differing, equal, only_a, only_b = changes(a, b)

    assert [(one.name, round(one.change, 3)) for one in differing] == [("conv.weight", 0.05)]
    assert (equal, only_a, only_b) == (1, (), ())


def test_a_tflite_file_is_read_alike() -> None:
    facts = tflite_contents.read_contents(DATA / "linear.tflite", SPEC).facts("tflite-fp32")

    assert facts.macs
    assert facts.parameters
    assert sum(facts.operators.values()) >= 1


@pytest.mark.parametrize("name", ["no.onnx", "no.tflite"])
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no model at all, only text")

    reader = onnx_contents if name.endswith("onnx") else tflite_contents

    with pytest.raises(ModelUnreadable):
        reader.read_contents(tmp_path / name, SPEC)


@pytest.mark.parametrize(("name", "precision"), [("linear", "fp32"), ("quantized", "int8")])
def test_a_tflite_file_has_its_precision_by_its_weights(name: str, precision: str) -> None:
    assert tflite_contents.read_contents(DATA / f"{name}.tflite", SPEC).precision == precision


def test_an_onnx_file_has_its_precision_by_its_weights(tmp_path: Path) -> None:
    assert onnx_contents.read_contents(DATA / "linear.onnx", SPEC).precision == "fp32"
    assert onnx_contents.read_contents(model(tmp_path / "net.onnx"), SPEC).precision == "int8"
