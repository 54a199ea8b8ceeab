"""Takes learned ranges out of the graphs of a .tflite file. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.export.graphs.learned_ranges import Range, is_learned
from edgekit.export.graphs.tflite_file import names_in
from edgekit.export.tflite.compact import read_whole, write_whole

if TYPE_CHECKING:
    from types import ModuleType

    from edgekit.export.graphs.tflite_types import ModelT, OperatorT, SubGraphT

# Operators that keep a tensor above a number.
_LOWER: Final = frozenset(("MAXIMUM", "RELU"))


def take_ranges(source: Path, out: Path) -> dict[str, Range]:
    """Write `source` without the learned ranges in its graphs to `out`; the ranges by tensor.

    Nothing is written where no range is found.
    """
    whole = read_whole(source)
    if whole is None:
        return {}
    model, schema = whole
    found: dict[str, Range] = {}
    for place, graph in enumerate(model.subgraphs):
        if ranges := _Limits(model, schema, graph).taken():
            found |= ranges
            _drop_unused(model, place)
    if found:
        write_whole(model, out)
    return found


def _drop_unused(model: ModelT, place: int) -> None:
    """Leave out the tensors of a graph that nothing makes any more: a calibration would read their values."""
    graph = model.subgraphs[place]
    borders = [graph.inputs, graph.outputs]
    used = sorted({int(index) for one in graph.operators for index in (*one.inputs, *one.outputs)} | _in(borders))
    places = {index: new for new, index in enumerate(index for index in used if index >= 0)} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in places if index >= 0]
    for one in graph.operators:
        one.inputs, one.outputs = _moved(one.inputs, places), _moved(one.outputs, places)
    graph.inputs, graph.outputs = (_moved(one, places) for one in borders)
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == place:
            for border in (*signature.inputs, *signature.outputs):
                border.tensorIndex = places[border.tensorIndex]


def _in(borders: Sequence[Sequence[int]]) -> set[int]:
    return {int(index) for one in borders for index in one}


def _moved(indices: Sequence[int], places: Mapping[int, int]) -> Sequence[int]:
    return [places[int(index)] for index in indices]


def _renamed(indices: Sequence[int], before: int, after: int) -> Sequence[int]:
    return [after if index == before else int(index) for index in indices]


class _Limits:
    """The operators of one graph that limit a tensor: a MAXIMUM or a RELU, then a MINIMUM."""

    def __init__(self, model: ModelT, schema: ModuleType, graph: SubGraphT) -> None:
        self._model, self._graph = model, graph
        self._names = names_in(schema.BuiltinOperator)
        self._relu = schema.ActivationFunctionType.RELU

    def taken(self) -> dict[str, Range]:
        """Remove every learned range; the ranges by tensor."""
        found = {}
        for last in list(self._graph.operators):
            high = self._constant(last) if self._name(last) == "MINIMUM" else None
            if high is None:
                continue
            first = self._maker(int(last.inputs[0]))
            low = self._low(first)
            if first is not None and low is not None and is_learned(low, high):
                whole = [first, last] if self._name(first) in _LOWER else [last]
                if (tensor := self._bypassed(whole)) is not None:
                    found[self._graph.tensors[tensor].name.decode()] = (low, high)
        return found

    def _low(self, first: OperatorT | None) -> float | None:
        """The smallest value that an operator lets pass."""
        if first is None:
            return None
        if self._name(first) == "MAXIMUM":
            return self._constant(first)
        fused = getattr(first.builtinOptions, "fusedActivationFunction", None)
        return 0.0 if fused == self._relu or self._name(first) == "RELU" else None

    def _bypassed(self, limits: Sequence[OperatorT]) -> int | None:
        """Remove operators in a row; the tensor that is left, None where they have to stay."""
        given, made = int(limits[0].inputs[0]), int(limits[-1].outputs[0])
        maker = self._maker(given)
        if maker is not None and self._readers(given) == [limits[0]] and given not in self._graph.outputs:
            maker.outputs = _renamed(maker.outputs, given, made)
        elif made in self._graph.outputs:
            return None
        else:
            for one in self._readers(made):
                one.inputs = _renamed(one.inputs, made, given)
            made = given
        kept = [one for one in self._graph.operators if not any(one is limit for limit in limits)]
        self._graph.operators = kept
        return made

    def _name(self, one: OperatorT) -> str:
        code = self._model.operatorCodes[one.opcodeIndex]
        return self._names[max(code.builtinCode, code.deprecatedBuiltinCode)]

    def _constant(self, one: OperatorT) -> float | None:
        """The one number that a tensor is compared with."""
        data = self._model.buffers[self._graph.tensors[int(one.inputs[1])].buffer].data
        return None if data is None or len(data) != 4 else float(np.asarray(data, np.uint8).view(np.float32)[0])

    def _maker(self, tensor: int) -> OperatorT | None:
        return next((one for one in self._graph.operators if tensor in one.outputs), None)

    def _readers(self, tensor: int) -> list[OperatorT]:
        return [one for one in self._graph.operators if tensor in one.inputs]
