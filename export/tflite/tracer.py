"""The trace of a .tflite file: an interpreter that keeps every tensor runs one signature on each feed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.bundle import Signature
from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.reports.bisect import RefusedOperator
from edgekit.core.samples import Array, Feed
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, kinds_of, named
from edgekit.export.graphs.tflite_file import names_in, read_file
from edgekit.export.graphs.trace import Graph, Operation, Trace, stacked, trace_of
from edgekit.export.tflite.compact import module_of
from edgekit.runtime.backends.file_kind import not_a_model

if TYPE_CHECKING:
    from edgekit.export.graphs.tflite_types import ModelT, OperatorT

_MOVES: Final = named("tflite", Trait.MOVES | Trait.REPEATS)
_BORDERS: Final = named("tflite", Trait.BORDER)
_SIZES: Final = named("tflite", Trait.SIZES)
# Their range is that of their operator, or of the tensor whose values they hold.
_NO_OWN_RANGE: Final = named("tflite", Trait.FIXED_RANGE | Trait.MOVES | Trait.REPEATS | Trait.TAKES)
_SHARED_SCALES: Final = named("tflite", Trait.SHARED_SCALE)


def trace(path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Trace:
    """The trace of one signature on every feed, run by the reference kernels, which keep every tensor.

    Raises:
        ModelUnreadable: The file is not a TFLite model.
        UserError: The signature does not accept a feed.
    """
    engine = read_file(path, lambda model, _: _Engine(path, model, _named(signature)))
    graph = engine.graph()
    return trace_of(graph, stacked(engine.run(feed, graph) for feed in feeds))


def refused(path: Path, feeds: Sequence[Feed], signature: Signature | None, side: str) -> RefusedOperator | None:
    """The refusal of a file that lacks a signature which its bundle lists; None if it has it.

    Raises:
        ModelUnreadable: The file is not a TFLite model.
    """
    del feeds
    known = read_file(path, lambda model, _: _first_inputs(model))
    if _named(signature) in known:
        return None
    reason = f"the file has no signature '{_named(signature)}'; it has {', '.join(known) or 'none'}"
    return RefusedOperator(side, next(iter(known.values()), ""), "input", reason)


def stored_steps(path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Iterator[Mapping[str, Array]]:
    """For every feed, by tensor name in a trace: how many steps from zero each value is. Only tensors with a scale of
    their own."""
    engine = read_file(path, lambda model, _: _Engine(path, model, _named(signature)))
    chosen = engine.scaled()
    for feed in feeds if chosen else ():
        engine.invoke(feed)
        yield {engine.name(index): engine.steps(index) for index in chosen}


def tensor_names(path: Path) -> dict[str, tuple[str, ...]]:
    """The file's own names for each name in a trace: one per signature, as far as the signatures are alike."""
    return read_file(path, lambda model, _: _names_in_trace(path, model))


def _names_in_trace(path: Path, model: ModelT) -> dict[str, tuple[str, ...]]:
    first = _Engine(path, model, next(iter(_first_inputs(model))))
    found: dict[str, tuple[str, ...]] = {}
    for place, operator in enumerate(model.subgraphs[first.place].operators):
        for graph in model.subgraphs:
            same = graph.operators[place] if place < len(graph.operators) else None
            if same is not None and same.opcodeIndex == operator.opcodeIndex:
                for index, other in zip(operator.outputs, same.outputs, strict=False):
                    name = first.name(index)
                    found[name] = (*found.get(name, ()), graph.tensors[other].name.decode())
    return found


def _first_inputs(model: ModelT) -> dict[str, str]:
    """The first input of every signature of the file."""
    return {one.signatureKey.decode(): one.inputs[0].name.decode() for one in model.signatureDefs or ()}


def _named(signature: Signature | None) -> str:
    """Its name; every file of this format has one for each combination of sizes."""
    assert signature is not None
    return signature.name


class _Engine:
    """The file opened so that every tensor can be read after a run."""

    def __init__(self, path: Path, model: ModelT, signature: str) -> None:
        module = need("ai_edge_litert.interpreter", extra="tflite")
        # The default kernels are those of a delegate, whose inner tensors cannot be read.
        plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._engine = module.Interpreter(
                str(path), num_threads=1, experimental_preserve_all_tensors=True, experimental_op_resolver_type=plain
            )
        except (RuntimeError, ValueError) as err:
            raise not_a_model(path, "TFLite", str(err).splitlines()[0]) from err
        self._model = model
        chosen = next((one for one in model.signatureDefs or () if one.signatureKey.decode() == signature), None)
        if chosen is None:
            raise ModelUnreadable(f"'{path}' has no signature '{signature}'.")
        self.place = chosen.subgraphIndex
        self._subgraph = model.subgraphs[self.place]
        self._inputs = {one.name.decode(): one.tensorIndex for one in chosen.inputs}
        self._outputs = {one.name.decode(): one.tensorIndex for one in chosen.outputs}
        try:
            self._engine._interpreter.AllocateTensors(self.place)
        except (RuntimeError, ValueError) as err:
            raise ModelUnreadable(f"litert does not run '{path}': {str(err).splitlines()[0]}") from err

    def graph(self) -> Graph:
        """The operators; tensors are named by the module they come from and their index."""
        schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
        operators = names_in(schema.BuiltinOperator)
        fused = names_in(schema.ActivationFunctionType)
        operations = tuple(self._operation(one, operators, fused) for one in self._subgraph.operators)
        outputs = {name: self.name(index) for name, index in self._outputs.items()}
        return Graph(operations, tuple(self._inputs), outputs, _MOVES, _BORDERS, frozenset(), _SIZES)

    def run(self, feed: Feed, graph: Graph) -> Mapping[str, Array]:
        """The value of every tensor that an operator writes, quantized ones as the real values they represent."""
        self.invoke(feed)
        written = {index for one in self._subgraph.operators for index in one.outputs}
        return {**feed, **{self.name(index): self._real(index) for index in sorted(written)}}

    def invoke(self, feed: Feed) -> None:
        """Run the signature on a feed."""
        wrapper = self._engine._interpreter
        try:
            for name, index in self._inputs.items():
                wrapper.SetTensor(index, self._stored(feed[name], index), self.place)
            wrapper.Invoke(self.place)
        except (RuntimeError, ValueError) as err:
            raise UserError(f"litert does not run this feed: {str(err).splitlines()[0]}") from err

    def scaled(self) -> list[int]:
        """Places of int8 tensors whose scale is their own: no operator fixes it or shares it with its other inputs."""
        schema = need("ai_edge_litert.schema_py_generated", extra="tflite")
        operators = names_in(schema.BuiltinOperator)
        every = [(self._operation(one, operators, {}).operator, one) for one in self._subgraph.operators]
        shared = {index for name, one in every if name in _SHARED_SCALES for index in (*one.inputs, *one.outputs)}
        kinds = {index: name for name, one in every for index in one.outputs}
        return [
            index
            for index, name in kinds.items()
            if name not in _NO_OWN_RANGE and index not in shared
            if self._subgraph.tensors[index].type == schema.TensorType.INT8
        ]

    def steps(self, index: int) -> Array:
        """A quantized tensor in steps from zero."""
        zeros = self._engine._get_tensor_details(index, self.place)["quantization_parameters"]["zero_points"]
        array = self._engine._interpreter.GetTensor(index, self.place).astype(np.int32)
        return np.asarray(array - (zeros[0] if len(zeros) else 0))

    def _operation(self, one: OperatorT, operators: Mapping[int, str], fused: Mapping[int, str]) -> Operation:
        code = self._model.operatorCodes[one.opcodeIndex]
        name = operators[max(code.builtinCode, code.deprecatedBuiltinCode)]
        activation = fused.get(getattr(one.builtinOptions, "fusedActivationFunction", 0) or 0, "NONE")
        kinds = kinds_of("tflite", name) | ({"relu"} if activation.startswith("RELU") else set())
        text = name if activation == "NONE" else f"{name}+{activation}"
        inputs = tuple(self.name(index) for index in one.inputs if index >= 0)
        outputs = tuple(self.name(index) for index in one.outputs)
        return Operation(text, inputs, outputs, kinds, self._module(one.outputs[0]))

    def name(self, index: int) -> str:
        """The name of a tensor in a trace."""
        given = next((name for name, place in self._inputs.items() if place == index), "")
        return given or f"{self._module(index) or 'tensor'}#{index}"

    def _module(self, index: int) -> str:
        """The part of the network that the converter wrote into the tensor's name."""
        return module_of(self._subgraph.tensors[index].name.decode(errors="replace"))

    def _stored(self, array: Array, index: int) -> Array:
        detail = self._engine._get_tensor_details(index, self.place)
        scales, dtype = detail["quantization_parameters"]["scales"], np.dtype(detail["dtype"])
        if not len(scales) or dtype == array.dtype:
            return np.ascontiguousarray(array.astype(dtype, copy=False))
        limits = np.iinfo(dtype)
        steps = np.rint(array / scales[0]) + detail["quantization_parameters"]["zero_points"][0]
        return np.asarray(steps.clip(limits.min, limits.max).astype(dtype))

    def _real(self, index: int) -> Array:
        array = self._engine._interpreter.GetTensor(index, self.place)
        quantization = self._engine._get_tensor_details(index, self.place)["quantization_parameters"]
        if len(quantization["scales"]) != 1 or array.dtype.kind not in "iu":
            return np.array(array)
        zero, scale = quantization["zero_points"][0], quantization["scales"][0]
        return np.asarray((array.astype(np.float32) - np.float32(zero)) * np.float32(scale))
