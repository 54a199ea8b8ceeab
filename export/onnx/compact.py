"""Removes what an .onnx file does not need: the wrapper's prefix of weights, zero points of biases, names of Q/DQ, and
the length that a recurrent layer was traced at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import DEQUANTIZE, QUANTIZE
from edgekit.export.onnx.nodes import nodes_of, rename

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, NodeProto

_WRAPPER: Final = "module."
# Axes of the outputs of a recurrent layer: steps and batch in either order, features of all directions.
_STEPPED: Final = 3


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


def with_free_steps(model: ModelProto) -> ModelProto:
    """The same with recurrent layers of any length: their outputs (T, N, D * F) or (N, T, D * F) take both sizes from
    the tensor that they are reshaped from.

    The exporter writes the length that a time-major layer was traced at.
    """
    onnx = need("onnx", extra="export")
    makers = {name: node for node in model.graph.node for name in node.output}
    constants = {one.name: one for one in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Reshape" or not _is_of_steps(makers, node):
            continue
        shape = constants.get(node.input[1])
        sizes = [] if shape is None else [int(size) for size in onnx.numpy_helper.to_array(shape)]
        if len(sizes) == _STEPPED:
            name = f"{node.input[1]}_of_{node.output[0]}"
            free = onnx.numpy_helper.from_array(np.array([0, 0, sizes[2]]), name)
            model.graph.initializer.append(free)
            node.input[1] = name
            # Else a 0 is a size of its own.
            del node.attribute[:]
    return model


def _is_of_steps(makers: Mapping[str, NodeProto], reshape: NodeProto) -> bool:
    """Whether a node reads the outputs of a recurrent layer, with its directions moved behind steps and batch."""
    turn = makers.get(reshape.input[0])
    layer = makers.get(turn.input[0]) if turn is not None and turn.op_type == "Transpose" else None
    is_first = layer is not None and turn is not None and layer.output[0] == turn.input[0]
    return is_first and layer is not None and layer.op_type in ("LSTM", "GRU", "RNN")
