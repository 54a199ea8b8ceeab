"""Tiny .onnx files for tests of what was exported elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def dense(path: Path, *, batch: int | str = "batch", external: str = "") -> Path:
    """(batch, 8) -> (batch, 4): a product, a sum, a relu; the weight beside the file where `external` names it."""
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(size=(8, 4)).astype(np.float32), "weight")
    bias = numpy_helper.from_array(rng.normal(size=4).astype(np.float32), "bias")
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    made = model(nodes, [tensor("x", [batch, 8])], [tensor("y", [batch, 4])], [weight, bias])
    if external:
        onnx.external_data_helper.set_external_data(made.graph.initializer[0], "data.bin")
        onnx.save(made, str(path))
        made.graph.initializer[0].external_data[0].value = external
        path.write_bytes(made.SerializeToString())
    else:
        onnx.save(made, str(path))
    return path


def tensor(name: str, shape: list[int | str], kind: int = TensorProto.FLOAT) -> Any:
    """What a graph takes or gives."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes: list[Any], inputs: list[Any], outputs: list[Any], weights: list[Any] | None = None) -> Any:
    """A model of opset 18, with the operators of classical learning."""
    graph = helper.make_graph(nodes, "graph", inputs, outputs, weights or [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def classifier(path: Path) -> Path:
    """(N, 3) -> label (N,) and scores (N, 2), by an operator of ai.onnx.ml."""
    node = helper.make_node(
        "LinearClassifier",
        ["x"],
        ["label", "scores"],
        domain="ai.onnx.ml",
        coefficients=[1.0, 2.0, 3.0, -1.0, -2.0, -3.0],
        intercepts=[0.0, 0.0],
        classlabels_ints=[0, 1],
        post_transform="SOFTMAX",
    )
    outputs = [tensor("label", ["N"], TensorProto.INT64), tensor("scores", ["N", 2])]
    onnx.save(model([node], [tensor("x", ["N", 3])], outputs), str(path))
    return path
