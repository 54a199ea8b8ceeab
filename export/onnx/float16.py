"""ONNX files with float16 weights and compute, float32 inputs and outputs. Runs in the worker."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.samples import Feed
from edgekit.core.system.optional import need
from edgekit.export.graphs.front_end import front_end_of_onnx
from edgekit.export.onnx.half_range import LARGEST, unsafe_nodes
from edgekit.export.onnx.nodes import as_initializers, captured, rename
from edgekit.export.onnx.widening import element_types

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto

# Operators that stay float32. The CPU has no float16 kernels for recurrent layers; and where onnxruntime 1.31 moves a
# float16 Transpose through a cast, it crashes while it opens the file.
FLOAT32_OPERATORS: Final = ("LSTM", "GRU", "RNN", "Transpose")
# Operators that no engine computes in float16, by the list of onnxruntime's own converter, and those whose element
# type is an attribute.
_UNSUPPORTED: Final = (
    "OneHot Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli EyeLike ConstantOfShape"
    " NonMaxSuppression TopK RoiAlign Range CumSum Min Max Upsample CastLike"
)
_KEPT: Final = frozenset((*FLOAT32_OPERATORS, *_UNSUPPORTED.split()))
# These read a tensor of either type.
_INDIFFERENT: Final = frozenset(("Shape", "Size"))
# Weights of at least this many values are stored in float16 even where they are read as float32: the file is smaller,
# and engines fold the Cast when they open it. Smaller ones are scales, biases and epsilons.
_LARGE: Final = 1024
_HALF: Final = "tensor(float16)"
_TYPED: Final = "to"


def write_float16(
    source: Path, out: Path, feeds: Sequence[Feed] = ()
) -> tuple[dict[str, str | int | float | bool], tuple[str, ...]]:
    """Write `source` in float16 to `out`; returns the options used and warnings.

    Its front end stays float32, and so does every node that float16 cannot hold on one of the `feeds`.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    as_initializers(model.graph)
    front = frozenset(front_end_of_onnx(model))
    unsafe = {name: why for name, why in unsafe_nodes(model, feeds).items() if name not in front}
    made = _Halving(model, exact=front, kept=frozenset(unsafe)).made()
    onnx.save(made, str(out))
    names = ",".join(dict.fromkeys((*front, *unsafe)))
    options: dict[str, str | int | float | bool] = {"keep_io_types": True, "float_nodes": names}
    return {**options, "float_operators": ",".join(FLOAT32_OPERATORS)}, _warnings(unsafe)


def _warnings(unsafe: Mapping[str, str]) -> tuple[str, ...]:
    if not unsafe:
        return ()
    first = ", ".join(f"'{name}' ({reason})" for name, reason in list(unsafe.items())[:3])
    more = f" and {len(unsafe) - 3} more" if len(unsafe) > 3 else ""
    what = "1 node, which stays" if len(unsafe) == 1 else f"{len(unsafe)} nodes, which stay"
    return (f"float16 does not hold the values of {what} float32: {first}{more}",)


@dataclass
class _Halving:
    """One model on its way to float16. Tensors are known by their names in the float32 model.

    Attributes:
        exact: Outputs of nodes that stay float32, weights included.
        kept: Outputs of nodes that compute in float32.
        types: Element types of tensors; those without are left alone.
        stored: Tensors that a node gives in float16.
        named: By tensor and width, the name under which it can be read.
    """

    model: ModelProto
    exact: Collection[str]
    kept: Collection[str]
    types: dict[str, int] = field(default_factory=dict)
    opset: int = 0
    stored: set[str] = field(default_factory=set)
    named: dict[tuple[str, bool], str] = field(default_factory=dict)
    nodes: list[NodeProto] = field(default_factory=list)
    weights: frozenset[str] = frozenset()

    def made(self) -> ModelProto:
        """The model, changed in place: types of tensors inside are dropped, the nodes are in order."""
        graph = self.model.graph
        self.types = element_types(self.model)
        self.opset = next(one.version for one in self.model.opset_import if one.domain in ("", "ai.onnx"))
        self.weights = frozenset(tensor.name for tensor in graph.initializer)
        self._store_weights(graph)
        ends = {value.name for value in graph.output}
        for node in graph.node:
            self._convert(node, ends)
        del graph.node[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        return self.model

    def _convert(self, node: NodeProto, ends: Collection[str]) -> None:
        half = self._is_half(node)
        outer = {name: self._read(name, half=False) for name in captured(node) if self._is_float(name)}
        for place, name in enumerate(node.input):
            if name and self._is_float(name):
                node.input[place] = self._read(name, half=self._width(node, place, name, half=half))
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                rename(inner, outer)
        if half and node.op_type == "Cast" and self._is_float(node.output[0]):
            next(one for one in node.attribute if one.name == _TYPED).i = _kind("FLOAT16")
        given = [place for place, name in enumerate(node.output) if half and self._gives(node, place)]
        self.nodes.append(node)
        for place in given:
            self._give(node, place, ends)

    def _give(self, node: NodeProto, place: int, ends: Collection[str]) -> None:
        """Record an output as float16; one that the model gives out is cast back under its own name."""
        name = node.output[place]
        self.stored.add(name)
        if name in ends:
            node.output[place] = self.named[name, True] = f"{name}_float16"
            self._cast(node.output[place], name, half=False)
            self.named[name, False] = name

    def _read(self, name: str, *, half: bool) -> str:
        """The name of a tensor in the wanted type; a Cast is put before the node that is next."""
        if (name in self.stored) == half and (name, half) not in self.named:
            return name
        if (name, half) not in self.named:
            self.named[name, half] = f"{name}_{'float16' if half else 'float32'}"
            self._cast(name, self.named[name, half], half=half)
        return self.named[name, half]

    def _cast(self, source: str, name: str, *, half: bool) -> None:
        to = _kind("FLOAT16" if half else "FLOAT")
        helper = need("onnx.helper", extra="export")
        self.nodes.append(helper.make_node("Cast", [source], [name], name=f"{name}_cast", to=to))

    def _is_float(self, name: str) -> bool:
        return self.types.get(name) == _kind("FLOAT")

    def _is_half(self, node: NodeProto) -> bool:
        """True if a node computes in float16: it may, and it is not one that stays float32."""
        if node.op_type in _KEPT or {*self.exact, *self.kept}.intersection(node.output) or _has_graphs(node):
            return False
        known = all(name in self.types for name in (*node.input, *node.output) if name)
        if not known or not need("onnx", extra="export").defs.has(node.op_type, self.opset, node.domain):
            return False
        floats = [place for place, name in enumerate(node.output) if name and self._is_float(name)]
        if floats:
            return all(self._gives(node, place) for place in floats)
        read = [name for name in node.input if name and self._is_float(name) and name not in self.weights]
        return bool(read) and all(name in self.stored for name in read)

    def _width(self, node: NodeProto, place: int, name: str, *, half: bool) -> bool:
        """Whether a node reads this input in float16."""
        if node.op_type in _INDIFFERENT:
            return name in self.stored
        return half and self._allows(node, place, is_input=True)

    def _gives(self, node: NodeProto, place: int) -> bool:
        name = node.output[place]
        return bool(name) and self._is_float(name) and self._allows(node, place, is_input=False)

    def _allows(self, node: NodeProto, place: int, *, is_input: bool) -> bool:
        schema = need("onnx", extra="export").defs.get_schema(node.op_type, self.opset, node.domain)
        formal = schema.inputs if is_input else schema.outputs
        return _HALF in formal[min(place, len(formal) - 1)].types

    def _store_weights(self, graph: GraphProto) -> None:
        """Store weights in float16 where they are only read so, or large; small ones that are read both ways twice."""
        helper = need("onnx.numpy_helper", extra="export")
        wanted, exact = self._wanted(graph)
        for tensor in list(graph.initializer):
            widths = wanted.get(tensor.name, set())
            array = helper.to_array(tensor)
            if array.dtype != np.float32 or tensor.name in exact or _overflows(array):
                continue
            if widths == {True} or (array.size >= _LARGE and widths):
                tensor.CopyFrom(helper.from_array(array.astype(np.float16), tensor.name))
                self.stored.add(tensor.name)
            elif len(widths) == 2:
                self.named[tensor.name, True] = f"{tensor.name}_float16"
                copy = helper.from_array(array.astype(np.float16), f"{tensor.name}_float16")
                graph.initializer.append(copy)

    def _wanted(self, graph: GraphProto) -> tuple[dict[str, set[bool]], set[str]]:
        """The widths that every weight is read in, and the weights that must remain exact."""
        wanted: dict[str, set[bool]] = {}
        exact = {value.name for value in graph.output}
        for node in graph.node:
            half = self._is_half(node)
            exact.update(node.input if set(self.exact) & set(node.output) else ())
            for place, name in enumerate(node.input):
                wanted.setdefault(name, set()).add(half and self._allows(node, place, is_input=True))
            for name in captured(node):
                wanted.setdefault(name, set()).add(False)
        return wanted, exact


def _has_graphs(node: NodeProto) -> bool:
    return any(one.g.node or one.graphs for one in node.attribute)


def _overflows(array: np.ndarray) -> bool:
    finite = np.abs(array[np.isfinite(array)])
    return bool(finite.size) and float(finite.max()) > LARGEST


def _kind(name: str) -> int:
    return int(need("onnx", extra="export").TensorProto.DataType.Value(name))
