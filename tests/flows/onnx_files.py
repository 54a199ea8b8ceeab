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


def convolution(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """(batch, 3, height, width) -> (batch, 4), as detectors and segmenters are exported."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["g"]),
        helper.make_node("Flatten", ["g"], ["y"]),
    ]
    borders = tensor("image", ["batch", 3, "height", "width"]), tensor("y", ["batch", 4])
    made = model(nodes, [borders[0]], [borders[1]], [numpy_helper.from_array(weights, "w")])
    helper.set_model_props(made, metadata or {})
    onnx.save(made, str(path))
    return path


def sum_of(path: Path, names: list[str]) -> Path:
    """The sum of as many inputs (1, 3) as there are names."""
    borders = [tensor(name, [1, 3]) for name in names], [tensor("y", [1, 3])]
    onnx.save(model([helper.make_node("Sum", names, ["y"])], *borders), str(path))
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


def plural(path: Path) -> Path:
    """Words (N,) -> words (N,), by an operator of classical learning."""
    words = ["cat", "dog", "horse"]
    node = helper.make_node(
        "LabelEncoder",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        keys_strings=words,
        values_strings=[f"{word}s" for word in words],
        default_string="?",
    )
    text = TensorProto.STRING
    onnx.save(model([node], [tensor("x", ["N"], text)], [tensor("y", ["N"], text)]), str(path))
    return path


def doubling(path: Path, kind: int) -> Path:
    """(N, 4) -> (N, 4), twice as much, given and taken as `kind`."""
    two = numpy_helper.from_array(np.float32(2), "two")
    nodes = [
        helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["wide", "two"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=kind),
    ]
    onnx.save(model(nodes, [tensor("x", ["N", 4], kind)], [tensor("y", ["N", 4], kind)], [two]), str(path))
    return path


def swish(path: Path) -> Path:
    """(N, 4) -> (N, 4), by an operator that the engine defines up to opset 24 alone."""
    graph = helper.make_graph(
        [helper.make_node("Swish", ["x"], ["y"])], "graph", [tensor("x", ["N", 4])], [tensor("y", ["N", 4])]
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 26)], ir_version=10), str(path))
    return path
