"""The work of the nodes of an .onnx file, at the smallest sizes of its dynamic axes, and how much of it is integer."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.core.bundle import QuantizedShare
from edgekit.core.errors import ModelUnreadable
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.native.notes import model_opening
from edgekit.core.system.optional import need
from edgekit.export.graphs.contents import Multiplying, product, shape_of, share_of, times
from edgekit.export.graphs.front_end import front_end_of_onnx
from edgekit.export.graphs.operators import DEQUANTIZE, QUANTIZE, Trait, named

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, TensorProto

Sizes = Mapping[str, tuple[int | None, ...]]
_CONVOLUTIONS: Final = named("onnx", Trait.CONVOLVES)
_PRODUCTS: Final = named("onnx", Trait.MULTIPLIES)
_RECURRENT: Final = named("onnx", Trait.RECURS)
_INTEGERS: Final = named("onnx", Trait.INTEGERS)
_QUANTIZED_LSTM: Final = "DynamicQuantizeLSTM"
# Constants up to this size may be shapes, which the inference of shapes has to read.
_SHAPES: Final = 1024


def quantized_share(path: Path, spec: ModelSpec) -> QuantizedShare:
    """How much of the weights and of the work of a file is quantized.

    Raises:
        ModelUnreadable: It is not an ONNX model.
    """
    onnx = need("onnx", extra="export")
    model, inferred = read_with_shapes(path, spec)
    read = {name for node in _behind_the_front_end(model) for name in node.input}
    weights = [one for one in weights_of(model.graph) if one.name in read]
    stored = [(_count(one), onnx.helper.tensor_dtype_to_np_dtype(one.data_type).itemsize) for one in weights]
    return share_of(stored, layers_of(model, sizes_in(inferred)))


def layers_of(model: ModelProto, sizes: Sizes) -> list[Multiplying]:
    """The operators that multiply by weights; the front end of an audio network stays float in every file."""
    bits, constants = _bits(model.graph), _constants(model.graph)
    # Products of two activations have no weights that could be quantized, and dynamic int8 leaves them float.
    nodes = [node for node in _behind_the_front_end(model) if constants.intersection(node.input[:4])]
    return [Multiplying(node.op_type, work_of(node, sizes), _operand_bits(node, bits)) for node in nodes]


def _behind_the_front_end(model: ModelProto) -> list[NodeProto]:
    front = set(front_end_of_onnx(model))
    return [node for node in model.graph.node if front.isdisjoint(node.output)]


def read_with_shapes(path: Path, spec: ModelSpec) -> tuple[ModelProto, GraphProto]:
    """The model, and its graph with the shape of every tensor that can be inferred.

    In the second, large constants are inputs.

    Raises:
        ModelUnreadable: It is not an ONNX model.
    """
    onnx = need("onnx", extra="export")
    try:
        with model_opening(path):
            model: ModelProto = onnx.load(str(path))
            # Shapes that the graph computes are followed as well: sizes of free axes are read from the input.
            inferred: GraphProto = onnx.shape_inference.infer_shapes(_readable(model, spec), data_prop=True).graph
    except Exception as err:  # a damaged file makes protobuf, the checker and the inference raise unrelated classes
        raise ModelUnreadable(f"'{path}' is not an ONNX model: {err}.") from err
    return model, inferred


def sizes_in(graph: GraphProto) -> Sizes:
    """The shape of every tensor of such a graph, as far as it is known."""
    found: dict[str, tuple[int | None, ...]] = {one.name: tuple(one.dims) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    return found


def work_of(node: NodeProto, sizes: Sizes) -> int | None:
    """Multiplications of one node; None where a shape is not known."""
    if node.op_type in _CONVOLUTIONS:
        place = 3 if node.op_type.startswith("QLinear") else 1
        return times(product(shape_of(sizes, node.output[0])), *shape_of(sizes, node.input[place])[1:])
    if node.op_type == "ConvTranspose":
        return times(product(shape_of(sizes, node.input[0])), *shape_of(sizes, node.input[1])[1:])
    if node.op_type in _PRODUCTS:
        swapped = any(one.name == "transA" and one.i for one in node.attribute)
        return times(product(shape_of(sizes, node.output[0])), shape_of(sizes, node.input[0])[0 if swapped else -1])
    if node.op_type in _RECURRENT:
        return _recurrent(node, sizes)
    return 0


def weights_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Constants of one axis or more that hold numbers: no shapes, and no scales or zero points."""
    onnx = need("onnx", extra="export")
    quantized = {node.input[0] for node in graph.node if node.op_type == DEQUANTIZE}
    reading = {name for node in graph.node for name in node.input}
    for one in graph.initializer:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(one.data_type)
        if one.name not in reading or not one.dims or one.name.endswith(("_scale", "_zero_point")):
            continue
        if one.name in quantized or dtype.kind == "f" or dtype.itemsize == 1:
            yield one


def _recurrent(node: NodeProto, sizes: Sizes) -> int | None:
    """Every step multiplies the input and the state by their weights."""
    steps = times(*shape_of(sizes, node.input[0])[:2])
    weights = [product(shape_of(sizes, name)) for name in node.input[1:3]]
    return None if None in weights or steps is None else steps * sum(one or 0 for one in weights)


def _constants(graph: GraphProto) -> set[str]:
    """Tensors that depend on no input."""
    found = {one.name for one in graph.initializer}
    for node in graph.node:
        if found.issuperset(node.input):
            found.update(node.output)
    return found


def _bits(graph: GraphProto) -> dict[str, int]:
    """The bits of the integers that every dequantized tensor stands for."""
    onnx = need("onnx", extra="export")
    zeros = {one.name: one.data_type for one in graph.initializer}
    found = {}
    for node in graph.node:
        if node.op_type == DEQUANTIZE:
            kind = zeros.get(node.input[0]) or (zeros.get(node.input[2]) if len(node.input) > 2 else None)
            found[node.output[0]] = 8 * onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize if kind else 8
    return found


def _operand_bits(node: NodeProto, bits: Mapping[str, int]) -> int | None:
    """The bits of the integers that a node multiplies, the wider of both; None if it multiplies real numbers."""
    if node.op_type in _INTEGERS:
        return 8
    both = [bits.get(name) for name in node.input[:2]]
    if node.op_type in _RECURRENT or len(both) < 2 or None in both:
        return None
    return max(one for one in both if one is not None)


def _readable(model: ModelProto, spec: ModelSpec) -> ModelProto:
    """A copy for the inference of shapes: no large constants, operators of the standard, free axes with a size."""
    readable = copy.deepcopy(model)
    graph = readable.graph
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = spec.sizes_of(dim.dim_param)[0]
    _drop_large(graph)
    for node in graph.node:
        if node.op_type in (QUANTIZE, DEQUANTIZE) and node.domain not in ("", "ai.onnx"):
            node.op_type, node.domain = "Identity", ""
            del node.input[1:]
        elif node.op_type == _QUANTIZED_LSTM:
            _as_lstm(graph, node)
    return readable


def _drop_large(graph: GraphProto) -> None:
    """Large constants become inputs of their shape."""
    helper = need("onnx", extra="export").helper
    given = {value.name for value in graph.input}
    large = [one for one in graph.initializer if _count(one) > _SHAPES]
    small = [one for one in graph.initializer if _count(one) <= _SHAPES]
    graph.input.extend(
        helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)) for one in large if one.name not in given
    )
    del graph.initializer[:]
    graph.initializer.extend(small)


def _as_lstm(graph: GraphProto, node: NodeProto) -> None:
    """The standard's LSTM with float weights, whose axes are in the other order."""
    helper = need("onnx", extra="export").helper
    dims = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.input}
    dims |= {one.name: list(one.dims) for one in graph.initializer}
    for place in (1, 2):
        directions, size, gates = dims[node.input[place]]
        name = f"{node.input[place]}|float"
        graph.input.append(helper.make_tensor_value_info(name, 1, [directions, gates, size]))
        node.input[place] = name
    node.op_type, node.domain = "LSTM", ""
    del node.input[8:]


def _count(one: TensorProto) -> int:
    return math.prod(one.dims)
