"""Operators that ONNX Runtime lacks for a type or an option are written out, or computed in a wider type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.onnx.reader import OnnxFile

from .graphs import saved, value

RNG = np.random.default_rng(0)


def one_node(node: Any, feed: dict[str, np.ndarray], opset: int, weights: dict[str, np.ndarray] | None = None) -> Any:
    """A model of one node, whose outputs have no shape yet."""
    kinds = {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in feed.items()}
    inputs = [value(name, array.shape, kinds[name]) for name, array in feed.items()]
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "graph", inputs, outputs, tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made)


def run(made: Any, feed: dict[str, np.ndarray], folder: Path) -> np.ndarray:
    """The first output of the file as edgekit runs it."""
    given = OnnxFile(saved(made, folder))
    spec = ModelSpec("net", "other", given.describe().inputs)
    return next(iter(given.run(spec, feed).values()))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_remainder_of_floats_rounds_down(dtype: str, tmp_path: Path) -> None:
    feed = {"a": np.array([-4.3, 7.2, 5.0, 0.0, 3.0], dtype), "b": np.array([2.1, -3.4, 8.0, 1.0, -np.inf], dtype)}
    made = one_node(helper.make_node("Mod", ["a", "b"], ["y"], fmod=0), feed, 28)

    np.testing.assert_allclose(run(made, feed, tmp_path), np.mod(feed["a"], feed["b"]), rtol=1e-6)


@pytest.mark.parametrize("direction", ["LEFT", "RIGHT"])
def test_signed_integers_are_shifted_with_their_sign(direction: str, tmp_path: Path) -> None:
    feed = {"a": np.array([-128, -3, 5, 64, -1], "i1"), "b": np.array([1, 2, 1, 1, 9], "i1")}
    made = one_node(helper.make_node("BitShift", ["a", "b"], ["y"], direction=direction), feed, 28)
    expected = [0, -12, 10, -128, 0] if direction == "LEFT" else [-64, -1, 2, 32, -1]

    assert run(made, feed, tmp_path).tolist() == expected


def test_a_recurrent_layer_may_have_its_batch_first(tmp_path: Path) -> None:
    feed = {"x": RNG.normal(size=(3, 5, 4)).astype("f4")}
    weights = {"w": RNG.normal(size=(1, 12, 4)).astype("f4"), "r": RNG.normal(size=(1, 12, 3)).astype("f4")}
    node = helper.make_node("LSTM", ["x", "w", "r"], ["y", "h"], hidden_size=3, layout=1)
    made = one_node(node, feed, 14, weights)

    expected = ReferenceEvaluator(made).run(None, feed)[0]
    np.testing.assert_allclose(run(made, feed, tmp_path), expected, atol=1e-5)


def test_small_integers_are_compared_in_wider_ones(tmp_path: Path) -> None:
    feed = {name: RNG.integers(-300, 300, 8).astype("i2") for name in "ab"}
    made = one_node(helper.make_node("Max", ["a", "b"], ["y"]), feed, 13)

    found = run(made, feed, tmp_path)

    assert found.dtype == np.int16
    assert found.tolist() == np.maximum(feed["a"], feed["b"]).tolist()


def test_two_nodes_may_have_one_name(tmp_path: Path) -> None:
    feed = {"x": RNG.normal(size=(2, 3)).astype("f4")}
    made = one_node(helper.make_node("Relu", ["x"], ["h"], "same"), feed, 13)
    made.graph.node.append(helper.make_node("Neg", ["h"], ["y"], "same"))
    made.graph.output[0].name = "y"

    assert np.array_equal(run(made, feed, tmp_path), -np.maximum(feed["x"], 0))


def test_slopes_of_old_files_are_of_the_channels(tmp_path: Path) -> None:
    feed = {"x": RNG.normal(size=(2, 3, 4, 4)).astype("f4")}
    slopes = np.array([0.1, 0.2, 0.3], "f4")
    made = one_node(helper.make_node("PRelu", ["x", "s"], ["y"]), feed, 6, {"s": slopes})

    expected = np.where(feed["x"] < 0, feed["x"] * slopes.reshape(3, 1, 1), feed["x"])
    np.testing.assert_allclose(run(made, feed, tmp_path), expected, atol=1e-6)


def test_bfloat16_is_computed_in_float32_where_it_lacks_kernels(tmp_path: Path) -> None:
    inputs = [value("x", [2, 3], TensorProto.BFLOAT16)]
    graph = helper.make_graph(
        [helper.make_node("Celu", ["x"], ["y"])], "graph", inputs, [value("y", [2, 3], TensorProto.BFLOAT16)]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)], ir_version=10)
    feed = {"x": np.array([[-1, 0, 1], [2, -3, 0.5]], "f4")}

    found = run(made, feed, tmp_path)

    np.testing.assert_allclose(found, np.where(feed["x"] > 0, feed["x"], np.expm1(feed["x"])), atol=0.01)
