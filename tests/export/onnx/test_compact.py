"""Weights get their own names back, quantized files lose what says nothing, and both answer as before."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgekit.export.onnx.compact import lean, without_wrapper
from edgekit.export.onnx.nodes import nodes_of

FEED = {"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}


def model(nodes: list[Any], weights: dict[str, np.ndarray]) -> Any:
    """(N, 4) -> (N, 3)."""
    borders = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size]) for name, size in (("x", 4), ("y", 3))
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def answer(made: Any) -> np.ndarray:
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, FEED)[0]
    return found


def branch(name: str, operator: str) -> Any:
    """A graph without inputs that reads the weight outside of it."""
    node = helper.make_node(operator, ["module.head.weight"], [name])
    return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 3])])


def test_weights_are_called_as_in_the_network_in_branches_too() -> None:
    weight = np.arange(12, dtype=np.float32).reshape(4, 3)
    made = model(
        [
            helper.make_node(
                "If", ["module.yes"], ["w"], then_branch=branch("a", "Neg"), else_branch=branch("b", "Abs")
            ),
            helper.make_node("MatMul", ["x", "w"], ["y"]),
        ],
        {"module.yes": np.array(True), "module.head.weight": weight},
    )
    before = answer(made)

    renamed = without_wrapper(made)

    assert [one.name for one in renamed.graph.initializer] == ["yes", "head.weight"]
    assert not [name for node in nodes_of(renamed.graph) for name in node.input if name.startswith("module.")]
    np.testing.assert_array_equal(answer(renamed), before)


def test_a_name_that_is_taken_stays() -> None:
    made = model(
        [helper.make_node("MatMul", ["x", "module.w"], ["p"]), helper.make_node("Add", ["p", "w"], ["y"])],
        {"module.w": np.ones((4, 3), np.float32), "w": np.ones(3, np.float32)},
    )

    assert [one.name for one in without_wrapper(made).graph.initializer] == ["module.w", "w"]


def test_biases_lose_their_zero_points_and_nothing_else_does() -> None:
    weights: dict[str, np.ndarray] = {
        "w": np.arange(-6, 6, dtype=np.int8).reshape(4, 3),
        "w_scale": np.full(3, 0.5, np.float32),
        "w_zero": np.zeros(3, np.int8),
        "b": np.arange(3, dtype=np.int32),
        "b_scale": np.full(3, 0.25, np.float32),
        "b_zero": np.zeros(3, np.int32),
    }
    made = model(
        [
            helper.make_node("DequantizeLinear", ["w", "w_scale", "w_zero"], ["weight"], name="dequantize w", axis=1),
            helper.make_node("DequantizeLinear", ["b", "b_scale", "b_zero"], ["bias"], name="dequantize b", axis=0),
            helper.make_node("Gemm", ["x", "weight", "bias"], ["y"], name="head"),
        ],
        weights,
    )
    before = answer(made)

    smaller = lean(made)

    assert [list(node.input) for node in smaller.graph.node[:2]] == [["w", "w_scale", "w_zero"], ["b", "b_scale"]]
    assert [node.name for node in smaller.graph.node] == ["", "", "head"]
    assert "b_zero" not in [one.name for one in smaller.graph.initializer]
    np.testing.assert_array_equal(answer(smaller), before)
