"""A file whose batch cannot be freed says what happens with two samples, and which operator keeps one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper as h

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.shapes.kept_batch import refuse_kept_batch

SPEC = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 2, 3)),))
FEED: Feed = {"x": np.arange(6, dtype=np.float32).reshape(1, 2, 3)}


def reshaped(path: Path, shape: list[int]) -> Path:
    """A file with a free batch that reshapes to a constant shape."""
    nodes = [h.make_node("Reshape", ["x", "shape"], ["flat"], name="flatten"), h.make_node("Relu", ["flat"], ["y"])]
    inputs = [h.make_tensor_value_info("x", T.FLOAT, ["N", 2, 3])]
    outputs = [h.make_tensor_value_info("y", T.FLOAT, None)]
    constants = [h.make_tensor("shape", T.INT64, [len(shape)], shape)]
    graph = h.make_graph(nodes, "g", inputs, outputs, constants)
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 18)], ir_version=8), str(path))
    return path


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ([1, -1], r"with two samples, output 'y' has the shape \(1, 12\) instead of \(2, 6\)"),
        ([1, 6], "two samples at once fail: "),
    ],
)
def test_the_operator_with_the_constant_shape_is_named(shape: list[int], reason: str, tmp_path: Path) -> None:
    made = reshaped(tmp_path / "freed.onnx", shape)

    with pytest.raises(UserError, match=reason) as caught:
        refuse_kept_batch(tmp_path / "net.onnx", made, SPEC, FEED)

    assert caught.value.message.startswith("The batch of 'net.onnx' is fixed at 1 and cannot be made free")
    assert f"Reshape 'flatten' to {shape}" in caught.value.message


def test_a_batch_that_is_free_passes(tmp_path: Path) -> None:
    refuse_kept_batch(tmp_path / "net.onnx", reshaped(tmp_path / "freed.onnx", [-1, 6]), SPEC, FEED)
