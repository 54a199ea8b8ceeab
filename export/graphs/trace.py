"""Traces: the tensors that a graph computes, in order, with their values. `edgekit bisect` compares them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from edgekit.core.samples import Array


@dataclass(frozen=True)
class Operation:
    """One operator of a graph: the names of the tensors it reads and writes. `kinds` says what it computes."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    module: str = ""


@dataclass(frozen=True)
class TracedTensor:
    """One tensor with its value on every run, `(R, ...)`, as real numbers.

    `inputs` are the names of the tensors it is computed from, `weights` those of the constants.
    """

    name: str
    operator: str
    value: Array
    kinds: frozenset[str] = frozenset()
    module: str = ""
    inputs: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """The operators of a file, before the tensors of interest are selected.

    `moves` are operators that only rearrange values, `borders` those that store them in another precision (their
    outputs replace their inputs), `parts` those whose result means nothing on its own, `sizes` those that return
    shapes.
    """

    operations: tuple[Operation, ...]
    inputs: tuple[str, ...]
    outputs: dict[str, str]
    moves: frozenset[str] = frozenset()
    borders: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    sizes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Trace:
    """The tensors of one graph in order; `outputs` names the one behind each output of the model.

    `moved` are the tensors that hold the value of one of them in another layout or precision.
    """

    tensors: tuple[TracedTensor, ...]
    outputs: Mapping[str, str]
    moved: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def by_name(self) -> dict[str, TracedTensor]:
        """Every tensor by its name."""
        return {one.name: one for one in self.tensors}


def trace_of(graph: Graph, values: Mapping[str, Array]) -> Trace:
    """The trace of `graph`. `values` may lack tensors: those that depend on no input, or cannot be read."""
    made = _Made(graph, values)
    for name in graph.inputs:
        made.add(TracedTensor(name, "input", values[name]), name)
    for operation in graph.operations:
        made.take(operation)
    outputs = {output: made.behind[tensor][0] for output, tensor in graph.outputs.items() if made.behind.get(tensor)}
    moved: dict[str, tuple[str, ...]] = {}
    for tensor, sources in made.behind.items():
        if len(sources) == 1 and tensor not in made.tensors:
            moved[sources[0]] = (*moved.get(sources[0], ()), tensor)
    return Trace(tuple(made.tensors.values()), outputs, moved)


@dataclass
class _Made:
    """Tensors so far; `behind` are those that each tensor of the graph represents or comes from."""

    graph: Graph
    values: Mapping[str, Array]
    tensors: dict[str, TracedTensor] = field(default_factory=dict)
    behind: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pending: dict[str, Operation] = field(default_factory=dict)

    def add(self, traced: TracedTensor, tensor: str) -> None:
        self.tensors[traced.name] = traced
        self.behind[tensor] = (traced.name,)

    def take(self, operation: Operation) -> None:
        sources = tuple(dict.fromkeys(name for read in operation.inputs for name in self.behind.get(read, ())))
        if not sources or operation.operator in self.graph.sizes:
            return
        if operation.operator in self.graph.borders and len(sources) == 1:
            self._restate(sources[0], operation)
        elif operation.operator in self.graph.parts:
            self._pass_on(sources, operation)
        elif operation.operator not in self.graph.moves or len(sources) > 1:
            self._compute(sources, operation)
            return
        self.behind |= dict.fromkeys(operation.outputs, sources)
        held = next((self.pending[read] for read in operation.inputs if read in self.pending), None)
        if held is not None:
            self.pending |= dict.fromkeys(operation.outputs, held)

    def _restate(self, name: str, operation: Operation) -> None:
        value, traced = self.values.get(operation.outputs[0]), self.tensors[name]
        # Behind a move it has another layout, which cannot be compared.
        if value is not None and value.shape == traced.value.shape:
            self.tensors[name] = replace(traced, value=value)

    def _pass_on(self, sources: tuple[str, ...], operation: Operation) -> None:
        self.behind |= dict.fromkeys(operation.outputs, sources)
        self.pending |= dict.fromkeys(operation.outputs, operation)

    def _compute(self, sources: tuple[str, ...], operation: Operation) -> None:
        held = [self.pending[read] for read in operation.inputs if read in self.pending]
        kinds = operation.kinds.union(*(one.kinds for one in held))
        operator = "+".join(dict.fromkeys([*(one.operator for one in held), operation.operator]))
        weights = tuple(dict.fromkeys(self._weights([*held, operation])))
        for name in operation.outputs:
            value = self.values.get(name)
            if value is None or value.ndim < 2:
                self.behind[name] = sources
            else:
                self.add(TracedTensor(name, operator, value, kinds, operation.module, sources, weights), name)

    def _weights(self, operations: Iterable[Operation]) -> Iterator[str]:
        for operation in operations:
            yield from (name for name in operation.inputs if name and name not in self.behind)


def stacked(runs: Iterable[Mapping[str, Array]]) -> dict[str, Array]:
    """One array per tensor over all runs, `(R, ...)`, as real numbers; tensors that change their shape are left out."""
    every = list(runs)
    found: dict[str, Array] = {}
    for name in every[0]:
        arrays = [np.asarray(run[name]) for run in every]
        if len({array.shape for array in arrays}) == 1 and arrays[0].dtype.kind in "fiub":
            found[name] = np.stack(arrays).astype(np.float32, copy=False)
    return found
