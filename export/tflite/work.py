"""The work of the operators of a .tflite file's first signature, which has the smallest sizes, and how much of it is
integer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final

from edgekit.core.bundle import QuantizedShare
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.graphs.contents import Multiplying, share_of
from edgekit.export.graphs.front_end import front_end_of_tflite
from edgekit.export.graphs.operators import Trait, named
from edgekit.export.graphs.tflite_file import names_in, read_file

if TYPE_CHECKING:
    from edgekit.export.graphs.tflite_types import ModelT, OperatorT, SubGraphT, TensorT

_PRODUCTS: Final = named("tflite", Trait.MULTIPLIES)
# Bits of the types that are integers in a quantized file.
_INTEGERS: Final = {"INT2": 2, "INT4": 4, "INT8": 8, "UINT8": 8, "INT16": 16}
_STORED_BYTES: Final = {"INT2": 1, "INT4": 1, "INT8": 1, "UINT8": 1, "FLOAT16": 2, "FLOAT32": 4}


def quantized_share(path: Path, spec: ModelSpec) -> QuantizedShare:
    """How much of the weights and of the work of a file is quantized.

    Raises:
        ModelUnreadable: It is not a TFLite model.
    """
    del spec
    # The front end of an audio network stays float in every file.
    return read_file(path, lambda model, schema: _share(model, schema, frozenset(front_end_of_tflite(path))))


def work_of(name: str, one: OperatorT, graph: SubGraphT) -> int:
    """Multiplications of one operator called `name`."""

    def shape(index: int) -> tuple[int, ...]:
        return tuple(int(size) for size in graph.tensors[index].shape)

    made = math.prod(shape(one.outputs[0])) if len(one.outputs) else 0
    if name == "CONV_2D":
        return made * math.prod(shape(one.inputs[1])[1:])
    if name == "DEPTHWISE_CONV_2D":
        return made * math.prod(shape(one.inputs[1])[1:3])
    if name == "TRANSPOSE_CONV":
        weight = shape(one.inputs[1])
        return math.prod(shape(one.inputs[2])) * math.prod(weight[:3])
    if name in _PRODUCTS:
        return made * shape(one.inputs[0])[-1]
    return 0


def holds_data(model: ModelT, tensor: TensorT) -> bool:
    """Whether a tensor is a constant."""
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _share(model: ModelT, schema: ModuleType, front: frozenset[str]) -> QuantizedShare:
    types, graph = names_in(schema.TensorType), model.subgraphs[0]
    layers, read = layers_of(model, schema, front)
    weights = [graph.tensors[index] for index in sorted(read) if holds_data(model, graph.tensors[index])]
    return share_of([_stored(one, types) for one in weights if _is_weight(one, types)], layers)


def layers_of(model: ModelT, schema: ModuleType, front: frozenset[str]) -> tuple[list[Multiplying], set[int]]:
    """The operators that multiply by weights, and the tensors that any operator reads, both behind the front end.

    Args:
        front: Names of the tensors of the front end of an audio network, which stays float in every file.
    """
    operators, types = names_in(schema.BuiltinOperator), names_in(schema.TensorType)
    graph = model.subgraphs[0]
    constants = {index for index, tensor in enumerate(graph.tensors) if holds_data(model, tensor)}
    layers: list[Multiplying] = []
    read: set[int] = set()
    for one in graph.operators:
        if not front.isdisjoint(graph.tensors[index].name.decode() for index in one.outputs):
            continue
        code = model.operatorCodes[one.opcodeIndex]
        name = operators[max(code.builtinCode, code.deprecatedBuiltinCode)]
        operands = {int(index) for index in one.inputs if index >= 0}
        read |= operands
        if operands <= constants:
            constants.update(int(index) for index in one.outputs)
        # Products of two activations have no weights that could be quantized, and dynamic int8 leaves them float.
        work = work_of(name, one, graph) if len(operands) > 1 and constants.intersection(one.inputs[:2]) else 0
        layers.append(Multiplying(name, work, _operand_bits(name, one, model, types) if work else None))
    return layers, read


def _operand_bits(name: str, one: OperatorT, model: ModelT, types: Mapping[int, str]) -> int | None:
    """The bits of the integers that an operator multiplies, the wider of both; None if it multiplies real numbers.

    Weights in integers next to inputs in float32 are multiplied as integers: the kernel quantizes the input.
    """
    tensors = model.subgraphs[0].tensors
    weight, value = tensors[one.inputs[1]], tensors[one.inputs[2 if name == "TRANSPOSE_CONV" else 0]]
    both = [_INTEGERS.get(types[tensor.type]) for tensor in (weight, value)]
    if both[0] is None or (both[1] is None and not holds_data(model, weight)):
        return None
    return max(one for one in both if one is not None)


def _is_weight(tensor: TensorT, types: Mapping[int, str]) -> bool:
    """Whether a constant holds numbers of the network: no shape, no order of axes, no lone factor."""
    return types[tensor.type] in _STORED_BYTES and tensor.shape is not None and len(tensor.shape) > 0


def _stored(tensor: TensorT, types: Mapping[int, str]) -> tuple[int, int]:
    return math.prod(int(size) for size in tensor.shape), _STORED_BYTES[types[tensor.type]]
