"""Static int8 of an .onnx file whose output joins boxes in pixels with scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.processor import INT8

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.quantizer import quantize
from edgekit.export.onnx.tracer import stored_steps

SPEC = ModelSpec("m", "other", (TensorSpec.parse("x:float32[N,4]"),), (TensorSpec.parse("y:float32[N,6]"),))
RECIPE = Recipe.parse(INT8)
RNG = np.random.default_rng(0)
WEIGHTS = {"a": RNG.normal(size=(4, 3)), "b": RNG.normal(size=(4, 3))}


def detector(path: Path, factor: float) -> Path:
    """(N, 4) -> (N, 6): three numbers up to `factor`, and three scores."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["va"], "va"),
        helper.make_node("MatMul", ["x", "b"], ["vb"], "vb"),
        helper.make_node("Sigmoid", ["va"], ["place"], "place"),
        helper.make_node("Sigmoid", ["vb"], ["scores"], "scores"),
        helper.make_node("Mul", ["place", "factor"], ["boxes"], "boxes"),
        helper.make_node("Concat", ["boxes", "scores"], ["y"], "join", axis=1),
    ]
    arrays = {**WEIGHTS, "factor": np.array(factor)}
    tensors = [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()]
    borders = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", size]) for n, size in (("x", 4), ("y", 6))]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize("factor", [640.0, 1.0], ids=["pixels", "shares"])
def test_scores_beside_boxes_in_pixels_keep_their_values(factor: float, tmp_path: Path) -> None:
    source, out = detector(tmp_path / "float.onnx", factor), tmp_path / "int8.onnx"
    x = RNG.normal(size=(64, 4)).astype(np.float32)

    _, warnings = quantize(source, SPEC, RECIPE, Samples({"x": x}), out)

    exact, got = (ort.InferenceSession(str(path)).run(None, {"x": x})[0] for path in (source, out))
    # int8 inputs and weights move the scores by 0.023; one scale for both parts has steps of 2.5.
    assert np.abs(exact - got)[:, 3:].max() < 0.05
    assert len(np.unique(got[:, 3:])) > 50
    assert any("stays float32" in text for text in warnings) == (factor > 1)


def test_the_range_of_a_view_is_that_of_what_it_shows(tmp_path: Path) -> None:
    # The slice holds a tenth of the range of the tensor that it is taken from, and its scale.
    nodes = [
        helper.make_node("Mul", ["x", "factors"], ["all"], "all"),
        helper.make_node("Slice", ["all", "start", "end", "axis"], ["part"], "part"),
        helper.make_node("Sigmoid", ["part"], ["y"], "y"),
    ]
    arrays = [np.array([10, 1, 1, 1], np.float32), *(np.array([one]) for one in (1, 4, 1))]
    tensors = [numpy_helper.from_array(a, n) for n, a in zip(("factors", "start", "end", "axis"), arrays, strict=True)]
    borders = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", size]) for n, size in (("x", 4), ("y", 3))]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "float.onnx")
    x = RNG.normal(size=(64, 4)).astype(np.float32)
    quantize(tmp_path / "float.onnx", SPEC, RECIPE, Samples({"x": x}), tmp_path / "int8.onnx")

    (found,) = stored_steps(tmp_path / "int8.onnx", [{"x": x}])

    assert set(found) == {"x", "all"}
