"""What a bare model file contains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.flows import onnx_files

from edgekit.core.errors import ModelUnreadable
from edgekit.core.reports.bundle import FileReport
from edgekit.flows.export import export
from edgekit.flows.inspect import inspect
from edgekit.flows.opening.source import SourceOptions


def inspected(path: Path) -> FileReport:
    found = inspect(path)
    assert isinstance(found, FileReport)
    return found


def test_a_bare_file_has_its_operators_work_and_opsets(tmp_path: Path) -> None:
    found = inspected(onnx_files.dense(tmp_path / "dense.onnx"))

    assert (found.format, found.size_bytes) == ("onnx", (tmp_path / "dense.onnx").stat().st_size)
    assert [str(tensor) for tensor in (*found.inputs, *found.outputs)] == ["x:float32[batch,8]", "y:float32[batch,4]"]
    assert found.graph.operators == {"MatMul": 1, "Add": 1, "Relu": 1}
    assert (found.graph.parameters, found.graph.macs) == (36, 32)
    assert found.graph.opsets["ai.onnx"] == 18
    assert (found.quantized, found.graph.left_float) == (None, {})


def test_a_quantized_file_says_where_it_is_left_in_float(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = [
        onnx.numpy_helper.from_array(rng.integers(-9, 9, (8, 4)).astype(np.int8), "a"),
        onnx.numpy_helper.from_array(rng.normal(size=(4, 2)).astype(np.float32), "b"),
        onnx.numpy_helper.from_array(np.float32(0.1), "s"),
        onnx.numpy_helper.from_array(np.int8(0), "z"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["real"]),
        helper.make_node("DequantizeLinear", ["a", "s", "z"], ["weight"]),
        helper.make_node("MatMul", ["real", "weight"], ["middle"]),
        helper.make_node("MatMul", ["middle", "b"], ["y"]),
    ]
    x, y = onnx_files.tensor("x", ["N", 8]), onnx_files.tensor("y", ["N", 2])
    model = onnx_files.model(nodes, [x], [y], weights)
    model.metadata_props.add(key="author", value="me")
    onnx.save(model, str(tmp_path / "mixed.onnx"))

    found = inspected(tmp_path / "mixed.onnx")

    assert found.graph.left_float == {"MatMul": 8}  # 32 of the 40 multiplications are of integers
    assert found.quantized is not None
    assert found.quantized.work == pytest.approx(0.8)
    assert found.graph.metadata == {"author": "me"}


def test_a_file_that_its_backend_does_not_open_is_inspected_and_says_why(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("parts", TensorProto.FLOAT, None)
    nodes = [helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0)]
    onnx.save(onnx_files.model(nodes, [onnx_files.tensor("x", ["N", 4])], [sequence], []), str(tmp_path / "parts.onnx"))

    found = inspected(tmp_path / "parts.onnx")

    assert found.graph.operators == {"SplitToSequence": 1}
    assert "supports dense tensors only" in found.reason


@pytest.mark.parametrize("name", ["noise.onnx", "noise.tflite"])
def test_what_is_no_model_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"noise")

    with pytest.raises(ModelUnreadable, match=name):
        inspect(tmp_path / name)


@pytest.mark.slow
def test_a_tflite_file_has_its_signatures_and_metadata(nets: Path, digit_samples: Path, tmp_path: Path) -> None:
    options = SourceOptions(samples=digit_samples, calibration=60, sizes=("N=1,8",))
    export(f"{nets}:small", to="tflite-fp32,tflite-int8-dynamic", out=tmp_path / "b", options=options)

    plain, dynamic = (inspected(tmp_path / "b" / f"{name}.tflite") for name in ("tflite-fp32", "tflite-int8-dynamic"))

    assert plain.graph.signatures == ("N1(x) -> output", "N8(x) -> output")
    assert plain.graph.metadata["min_runtime_version"]
    assert plain.quantized is None
    assert dynamic.quantized is not None
    assert not dynamic.graph.left_float
