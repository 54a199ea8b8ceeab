"""Widening: inputs and outputs of a type that numpy lacks become the next wider one, by a Cast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from edgekit.core.system.optional import need
from edgekit.export.onnx.nodes import rename

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, ValueInfoProto

# Every value of the type on the left is one of the type on the right.
_WIDER: Final = {
    "BFLOAT16": "FLOAT",
    "FLOAT8E4M3FN": "FLOAT",
    "FLOAT8E4M3FNUZ": "FLOAT",
    "FLOAT8E5M2": "FLOAT",
    "FLOAT8E5M2FNUZ": "FLOAT",
    "FLOAT8E8M0": "FLOAT",
    "FLOAT4E2M1": "FLOAT",
    "INT4": "INT8",
    "UINT4": "UINT8",
    "INT2": "INT8",
    "UINT2": "UINT8",
}


def wider(kind: int) -> int | None:
    """The wider type for a tensor of this type; None if numpy arrays have the type."""
    types = need("onnx", extra="export").TensorProto.DataType
    name = _WIDER.get(types.Name(kind))
    return None if name is None else int(types.Value(name))


def narrow_borders(model: ModelProto) -> dict[str, str]:
    """By name, the type of every input and output that numpy arrays do not have."""
    types = need("onnx", extra="export").TensorProto.DataType
    found = ((value.name, value.type.tensor_type.elem_type) for value in _borders(model))
    return {name: types.Name(kind).lower() for name, kind in found if kind and wider(kind)}


def widened(model: ModelProto) -> ModelProto:
    """The model with inputs and outputs that numpy arrays can hold: the same names, and a Cast after each input and
    before each output whose type changes. Weights keep their types."""
    narrow = narrow_borders(model)
    if not narrow:
        return model
    onnx = need("onnx", extra="export")
    graph = model.graph
    inputs = [value for value in graph.input if value.name in narrow]
    outputs = [value for value in graph.output if value.name in narrow]
    inner = {value.name: f"{value.name}_{narrow[value.name]}" for value in (*inputs, *outputs)}
    rename(graph, inner)
    passed = {value.name for value in inputs}
    before = [
        onnx.helper.make_node("Cast", [value.name], [inner[value.name]], to=value.type.tensor_type.elem_type)
        for value in inputs
    ]
    after = [
        onnx.helper.make_node("Cast", [inner[value.name]], [value.name], to=wider(value.type.tensor_type.elem_type))
        for value in outputs
        if value.name not in passed
    ]
    for value in (*inputs, *outputs):
        kind = value.type.tensor_type
        kind.elem_type = wider(kind.elem_type) or kind.elem_type
    nodes = [*before, *graph.node, *after]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def _borders(model: ModelProto) -> Iterator[ValueInfoProto]:
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        if value.type.WhichOneof("value") == "tensor_type" and value.name not in weights:
            yield value
