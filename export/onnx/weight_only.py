"""ONNX files with weights in 4 bits by MatMulNBits, or in int8, computed with in float32. Runs in the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.recipe import Recipe
from edgekit.core.refusals import refuse
from edgekit.core.samples import Array
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_onnx

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, TensorProto

BLOCK: Final = 32
_KIND: Final = "MatMulNBits"
# Smaller ones are left: scales and nodes would take what the integers save.
_LEAST: Final = 256
# For each operator the axis of its weights that has a scale for every index: that of its outputs.
_AXES: Final = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1, "Gemm": -1, "LSTM": 1, "GRU": 1, "RNN": 1, "Gather": -1}
_LARGEST: Final = 127


def quantize_weights(source: Path, recipe: Recipe, out: Path) -> dict[str, str | int | float | bool]:
    """Write `source` with the constant weights of its matrix products in 4 bits, with a scale for each block of 32.

    Raises:
        Refused: There is no such weight.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    _split_gemms(model)
    # The quantizer logs the start and end of every node.
    logging.getLogger("onnxruntime.quantization.matmul_nbits_quantizer").setLevel(logging.ERROR)
    tool = need("onnxruntime.quantization.matmul_nbits_quantizer", extra="cpu")
    quantizer = tool.MatMulNBitsQuantizer(model, bits=4, block_size=BLOCK, is_symmetric=True)
    quantizer.process()
    made = quantizer.model.model
    count = sum(node.op_type == _KIND for node in made.graph.node)
    if not count:
        raise refuse("nothing-for-int4", f"Recipe '{recipe.name}'")
    onnx.save(made, str(out))
    return {"weights": "int4", "block_size": BLOCK, "symmetric": True, "quantized_nodes": count}


def _split_gemms(model: ModelProto) -> None:
    """Gemm with a constant weight becomes MatMul and Add: the quantizer knows MatMul alone."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = [part for node in model.graph.node for part in _parts(node, constants, model.graph)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input} | {value.name for value in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _parts(node: NodeProto, constants: dict[str, TensorProto], graph: GraphProto) -> Iterator[NodeProto]:
    onnx = need("onnx", extra="export")
    options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    plain = options.get("alpha", 1.0) == 1.0 and options.get("beta", 1.0) == 1.0 and not options.get("transA", 0)
    if node.op_type != "Gemm" or not plain or node.input[1] not in constants:
        yield node
        return
    weight = onnx.numpy_helper.to_array(constants[node.input[1]])
    name = f"{node.output[0]}_weight"
    turned = weight.T if options.get("transB", 0) else weight
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(turned), name))
    has_bias = len(node.input) > 2 and bool(node.input[2])
    product = f"{node.output[0]}_product" if has_bias else node.output[0]
    yield onnx.helper.make_node("MatMul", [node.input[0], name], [product], name=f"{node.name}_product")
    if has_bias:
        yield onnx.helper.make_node("Add", [product, node.input[2]], [node.output[0]], name=node.name)


def store_weights(source: Path, out: Path) -> dict[str, str | int | float | bool]:
    """Write `source` with the weights of its layers in int8, one scale for every output channel.

    They are read through Cast and Mul, which ONNX Runtime folds once it loads the file; it is as fast as the float32
    one, and a quarter of its size. Behind DequantizeLinear ONNX Runtime would turn them into float32 in every call.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    graph = model.graph
    front = set(front_end_of_onnx(model))
    axes = _axes([node for node in graph.node if front.isdisjoint(node.output)])
    kept, made, nodes = [], [], []
    for tensor in graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        if tensor.name not in axes or array.dtype != np.float32 or array.ndim < 2 or array.size < _LEAST:
            kept.append(tensor)
            continue
        made += _stored(tensor.name, array, axes[tensor.name])
        nodes += _read(tensor.name)
    del graph.initializer[:]
    graph.initializer.extend([*kept, *made])
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    onnx.save(model, str(out))
    return {"weights": "int8", "per_channel": True, "stored_weights": len(made) // 2}


def _axes(nodes: list[NodeProto]) -> dict[str, int]:
    """For every weight of a layer, the axis of its scales."""
    found: dict[str, int] = {}
    for node in nodes:
        if node.op_type in _AXES:
            turned = node.op_type == "Gemm" and any(one.name == "transB" and one.i for one in node.attribute)
            places = {"LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2), "Gather": (0,)}.get(node.op_type, (1,))
            found |= {node.input[place]: 0 if turned else _AXES[node.op_type] for place in places}
    return found


def _stored(name: str, array: Array, axis: int) -> list[TensorProto]:
    """The integers of a weight and their scales, which have its axes."""
    onnx = need("onnx", extra="export")
    others = tuple(place for place in range(array.ndim) if place != axis % array.ndim)
    largest = np.abs(array).max(axis=others, keepdims=True)
    scale = np.asarray(np.where(largest > 0, largest / _LARGEST, 1.0), np.float32)
    steps = np.rint(np.divide(array, scale)).clip(-_LARGEST, _LARGEST).astype(np.int8)
    return [
        onnx.numpy_helper.from_array(steps, f"{name}_quantized"),
        onnx.numpy_helper.from_array(scale, f"{name}_scale"),
    ]


def _read(name: str) -> list[NodeProto]:
    helper = need("onnx", extra="export").helper
    return [
        helper.make_node("Cast", [f"{name}_quantized"], [f"{name}_cast"], to=1),
        helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [name]),
    ]
