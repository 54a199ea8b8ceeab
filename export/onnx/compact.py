"""Removes what an .onnx file does not need: the wrapper's prefix of weights, zero points of biases, names of Q/DQ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import DEQUANTIZE, QUANTIZE
from edgekit.export.onnx.nodes import nodes_of, rename

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto

_WRAPPER: Final = "module."


def without_wrapper(model: ModelProto) -> ModelProto:
    """The model whose weights have the names that they have in the network, not those behind the exporter's wrapper."""
    graph = model.graph
    borders = {value.name for value in (*graph.input, *graph.output)}
    made = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    shorter = {name: name.removeprefix(_WRAPPER) for name in made - borders if name.startswith(_WRAPPER)}
    rename(graph, {name: short for name, short in shorter.items() if short not in made | borders})
    return model


def lean(model: ModelProto) -> ModelProto:
    """A quantized model whose biases have no zero points (all are zero, and as many numbers as the bias itself), and
    whose quantizing nodes have no names: their tensors have."""
    idle = set(_zeros(model))
    for node in model.graph.node:
        if node.op_type in (QUANTIZE, DEQUANTIZE):
            node.name = ""
        if node.op_type == DEQUANTIZE and len(node.input) > 2 and node.input[2] in idle:
            del node.input[2]
    read = {name for node in nodes_of(model.graph) for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name not in idle or tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def _zeros(model: ModelProto) -> Iterator[str]:
    """Weights of int32, the type of quantized biases, that are zero everywhere."""
    onnx = need("onnx", extra="export")
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT32 and not onnx.numpy_helper.to_array(tensor).any():
            yield tensor.name
