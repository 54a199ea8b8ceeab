"""The contents of an .onnx file, at the smallest sizes of its dynamic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.errors import ModelUnreadable
from edgekit.core.reports.graph import TensorFacts
from edgekit.core.samples import Array
from edgekit.core.spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.contents import Contents, Node, Weight, dequantized, product, shape_of, times
from edgekit.export.graphs.operators import DEQUANTIZE, Trait, named

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, NodeProto

_SUFFIX: Final = "_quantized"
_CONVOLUTIONS: Final = named("onnx", Trait.CONVOLVES)
_PRODUCTS: Final = named("onnx", Trait.MULTIPLIES)
_RECURRENT: Final = named("onnx", Trait.RECURS)
Sizes = Mapping[str, tuple[int | None, ...]]


def read_contents(path: Path, spec: ModelSpec) -> Contents:
    """The contents of the file.

    Raises:
        ModelUnreadable: It is not an ONNX model.
    """
    onnx = need("onnx", extra="export")
    try:
        model = onnx.load(str(path))
        _at_smallest(model.graph, spec)
        graph = onnx.shape_inference.infer_shapes(model).graph
    except Exception as err:
        raise ModelUnreadable(f"'{path}' is not an ONNX model: {err}.") from err
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    sizes = _sizes(graph, arrays)
    nodes = tuple(Node(node.op_type, _work(node, sizes)) for node in graph.node)
    constant = {node.output[0] for node in graph.node if node.input and set(node.input) <= arrays.keys()}
    tensors = tuple(one for one in _tensors(graph, sizes) if one.name not in constant)
    return Contents(nodes, tuple(_weights(graph, arrays)), tensors)


def _at_smallest(graph: GraphProto, spec: ModelSpec) -> None:
    """Free axes of the inputs get a size; shapes that were written for others are dropped."""
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    for value in graph.input:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = spec.sizes_of(dim.dim_param)[0]


def _sizes(graph: GraphProto, arrays: Mapping[str, Array]) -> Sizes:
    found: dict[str, tuple[int | None, ...]] = {name: array.shape for name, array in arrays.items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        if kind.HasField("shape"):
            found[value.name] = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    return found


def _work(node: NodeProto, sizes: Sizes) -> int | None:
    """Multiplications of one node."""
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


def _recurrent(node: NodeProto, sizes: Sizes) -> int | None:
    """Every step multiplies the input and the state by their weights."""
    steps = times(*shape_of(sizes, node.input[0])[:2])
    weights = [product(shape_of(sizes, name)) for name in node.input[1:3]]
    return None if None in weights or steps is None else steps * sum(one or 0 for one in weights)


def _weights(graph: GraphProto, arrays: Mapping[str, Array]) -> list[Weight]:
    """Constants of two axes or more, and biases; quantized ones as real values, under their float names."""
    quantized = {node.input[0]: node for node in graph.node if node.op_type == DEQUANTIZE and node.input[0] in arrays}
    reading = {name for node in graph.node for name in node.input}
    found = []
    for name, array in arrays.items():
        if name not in reading or array.ndim == 0 or _is_parameter_of_format(name):
            continue
        if name not in quantized and array.dtype.kind not in "f" and array.dtype.itemsize > 1:
            continue  # shapes and indices
        real = _real(array, quantized[name], arrays) if name in quantized else array
        plain = name.removesuffix(_SUFFIX)
        found.append(Weight(plain, str(array.dtype), array.shape, _stored(array), real))
    return found


def _is_parameter_of_format(name: str) -> bool:
    return name.endswith(("_scale", "_zero_point"))


def _stored(array: Array) -> int:
    """Bytes in the file; numpy holds two 4-bit values in two bytes."""
    return math.ceil(array.size / 2) if "int4" in str(array.dtype) else array.nbytes


def _real(array: Array, node: NodeProto, arrays: Mapping[str, Array]) -> Array:
    axis = next((one.i for one in node.attribute if one.name == "axis"), 1)
    zero = arrays.get(node.input[2]) if len(node.input) > 2 else None
    scale = arrays.get(node.input[1])
    if scale is None or any(one.name == "block_size" and one.i for one in node.attribute):
        return np.asarray(array, np.float32)
    return dequantized(array, np.atleast_1d(scale), None if zero is None else np.atleast_1d(zero), axis)


def _tensors(graph: GraphProto, sizes: Sizes) -> list[TensorFacts]:
    onnx = need("onnx", extra="export")
    found = []
    for value in (*graph.input, *graph.value_info, *graph.output):
        count = product(sizes.get(value.name, (None,)))
        kind = value.type.tensor_type.elem_type
        if count is not None and kind:
            dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
            shape = tuple(int(size or 0) for size in sizes[value.name])
            found.append(TensorFacts(value.name, str(dtype), shape, count * np.dtype(dtype).itemsize, False))
    return found
