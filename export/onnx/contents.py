"""The contents of an .onnx file, at the smallest sizes of its dynamic axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.errors import ModelUnreadable
from edgekit.core.reports.graph import TensorFacts
from edgekit.core.samples import Array
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.contents import Contents, Node, Weight, dequantized, product
from edgekit.export.graphs.operators import DEQUANTIZE
from edgekit.export.onnx.work import Sizes, layers_of, read_with_shapes, sizes_in, weights_of, work_of
from edgekit.runtime.backends.file_kind import consistent

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, NodeProto

_SUFFIX: Final = "_quantized"


def read_contents(path: Path, spec: ModelSpec) -> Contents:
    """The contents of the file.

    Raises:
        ModelUnreadable: It is not an ONNX model, a name in it is not UTF-8, or its parts do not fit together.
    """
    with consistent(path, "onnx"):
        return _read(path, spec)


def _read(path: Path, spec: ModelSpec) -> Contents:
    onnx = need("onnx", extra="export")
    model, inferred = read_with_shapes(path, spec)
    if any(isinstance(name, bytes) for name in _names(model.graph)):
        raise ModelUnreadable(f"'{path}' has a tensor, operator or axis whose name is not UTF-8.")
    graph, sizes = model.graph, sizes_in(inferred)
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    nodes = tuple(Node(node.op_type, work_of(node, sizes)) for node in graph.node)
    constant = {node.output[0] for node in graph.node if node.input and set(node.input) <= arrays.keys()}
    tensors = tuple(one for one in _tensors(inferred, sizes) if one.name not in constant | arrays.keys())
    opsets = {one.domain or "ai.onnx": one.version for one in model.opset_import}
    metadata = {_text(one.key): _text(one.value) for one in model.metadata_props}
    layers = tuple(layers_of(model, sizes))
    return Contents(nodes, tuple(_weights(graph, arrays)), tensors, layers, opsets, (), metadata)


def _text(found: str | bytes) -> str:
    """Text of a file; protobuf gives one that is not UTF-8 as bytes."""
    return found if isinstance(found, str) else found.decode(errors="replace")


def _names(graph: GraphProto) -> Iterator[object]:
    """Every name in a graph; protobuf gives one that is not UTF-8 as bytes."""
    yield from (one.name for one in graph.initializer)
    for node in graph.node:
        yield from (node.name, node.op_type, *node.input, *node.output)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield value.name
        yield from (axis.dim_param for axis in value.type.tensor_type.shape.dim)


def _weights(graph: GraphProto, arrays: Mapping[str, Array]) -> list[Weight]:
    """Constants of one axis or more; quantized ones as real values, under their float names."""
    quantized = {node.input[0]: node for node in graph.node if node.op_type == DEQUANTIZE and node.input[0] in arrays}
    found = []
    for name in (one.name for one in weights_of(graph)):
        array = arrays[name]
        plain = name.removesuffix(_SUFFIX)
        real = _real(array, quantized[name], arrays) if name in quantized else _scaled(array, f"{plain}_scale", arrays)
        found.append(Weight(plain, str(array.dtype), array.shape, _stored(array), real))
    return found


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


def _scaled(array: Array, scale: str, arrays: Mapping[str, Array]) -> Array:
    """The real values of integers that an operator scales itself, or that are multiplied by their scales."""
    if array.dtype != np.int8 or scale not in arrays:
        return array
    try:
        return np.multiply(array.astype(np.float32), arrays[scale])
    except ValueError:  # scales along another axis
        return array


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
