"""Front ends: what a logarithm is taken of, before the layers with weights, stays float in every reduced file.

The power spectrum of a second of speech spans more than six decades, and 8 bits in equal steps hold little more than
two: with its front end quantized a keyword spotter of 90 % was left with 0.8 dB of its signal, and 17 % top-1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, named
from edgekit.export.graphs.tflite_file import names_in
from edgekit.export.graphs.trace import Operation

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto
    from edgekit.export.graphs.tflite_types import ModelT, OperatorT, SubGraphT

_LOGARITHMS: Final = named("onnx", Trait.LOGARITHM) | named("tflite", Trait.LOGARITHM)
_LAYERS: Final = Trait.LAYER | Trait.MATRICES | Trait.INTEGERS
_WEIGHTED: Final = named("onnx", _LAYERS) | named("tflite", _LAYERS)
_HOLDING: Final = Trait.MOVES | Trait.TAKES
_HOLDERS: Final = named("onnx", _HOLDING) | named("tflite", _HOLDING)


def front_end(operations: Sequence[Operation]) -> tuple[str, ...]:
    """Tensors made on the way to a logarithm, itself included, that layers with weights come after.

    What only holds values from there belongs to it: the state of a stream has the last of the sound.
    """
    found: dict[str, None] = {}
    for place, one in enumerate(operations):
        if one.operator in _LOGARITHMS and _feeds_weights(operations, place):
            way = _way_to(operations, place)
            made = [name for earlier in way for name in earlier.outputs]
            read = {name for earlier in way for name in earlier.inputs}
            found |= dict.fromkeys([*made, *_held_from(operations, read)])
    return tuple(found)


def _held_from(operations: Sequence[Operation], names: set[str]) -> Iterator[str]:
    """Tensors that hold values of `names` in another order, or some of them."""
    reached = set(names)
    for one in operations:
        if one.operator in _HOLDERS and one.inputs and one.inputs[0] in reached:
            reached.update(one.outputs)
            yield from one.outputs


def front_end_of_onnx(model: ModelProto) -> tuple[str, ...]:
    """`front_end` of an ONNX model."""
    return front_end([Operation(one.op_type, tuple(one.input), tuple(one.output)) for one in model.graph.node])


def front_end_of_tflite(path: Path) -> tuple[str, ...]:
    """`front_end` of every graph of a TFLite file."""
    return tuple(name for operations, _ in tflite_graphs(path) for name in front_end(operations))


def tflite_graphs(path: Path) -> Iterator[tuple[list[Operation], tuple[str, ...]]]:
    """The operators of every graph of a TFLite file, with the file's own names of tensors, and the names of its
    outputs."""
    files = need("ai_edge_quantizer.utils.tfl_flatbuffer_utils", extra="tflite-export")
    schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
    kinds = names_in(schema.BuiltinOperator)
    model = files.read_model(str(path))
    for graph in model.subgraphs:
        outputs = tuple(graph.tensors[index].name.decode() for index in graph.outputs)
        yield [_operation(model, graph, one, kinds) for one in graph.operators], outputs


def _operation(model: ModelT, graph: SubGraphT, one: OperatorT, kinds: dict[int, str]) -> Operation:
    names = [tensor.name.decode() for tensor in graph.tensors]
    read = tuple(names[index] for index in one.inputs if index >= 0)
    code = model.operatorCodes[one.opcodeIndex].builtinCode
    return Operation(kinds.get(code, ""), read, tuple(names[index] for index in one.outputs))


def _way_to(operations: Sequence[Operation], place: int) -> list[Operation]:
    """The operator at `place` and every one before it that it depends on."""
    way = [operations[place]]
    wanted = set(operations[place].inputs)
    for one in reversed(operations[:place]):
        if wanted & set(one.outputs):
            way.append(one)
            wanted.update(one.inputs)
    return way[::-1]


def _feeds_weights(operations: Sequence[Operation], place: int) -> bool:
    reached = set(operations[place].outputs)
    for one in operations[place + 1 :]:
        if reached.intersection(one.inputs):
            if one.operator in _WEIGHTED:
                return True
            reached |= set(one.outputs)
    return False
