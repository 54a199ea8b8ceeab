"""Where float16 does not hold the values of a graph: tensors, sums inside operators, and epsilons that become zero.

The CPU computes most float16 operators in float32, so that running a float16 file there shows nothing of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgekit.core.samples import Array, Feed
from edgekit.core.system.optional import need
from edgekit.export.onnx.widening import element_types

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, NodeProto

# The largest finite value of float16, and half of the smallest one: what is below becomes zero.
LARGEST: Final = 65504.0
SMALLEST: Final = 2.0**-25
# Other inputs than the samples may have values twice as large.
_MARGIN: Final = 2.0
_ADDED: Final = frozenset(("ReduceMean", "ReduceSum", "ReduceL1", "GlobalAveragePool"))
_SQUARED: Final = frozenset(("ReduceL2", "ReduceSumSquare", "GlobalLpPool", "LpNormalization"))
_CENTRED: Final = frozenset(("InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization"))
# Their sums are in float32 by definition (`stash_type`); a single square may be in float16.
_STASHED: Final = frozenset(("LayerNormalization",))
# A mean so many times larger than what varies around it leaves an error of 1 % after rounding to float16.
_STEEP: Final = 0.01 * 2.0**11
_PRODUCTS: Final = frozenset(("MatMul", "Gemm"))
_CONVOLUTIONS: Final = frozenset(("Conv", "ConvTranspose"))
_EPSILON: Final = frozenset(("Add", "Sub", "Max", "Clip"))
# Operators of which a zero makes something that is not finite, and the place of that input.
_DIVIDING: Final = {"Div": 1, "Reciprocal": 0, "Log": 0, "Sqrt": 0, "Pow": 0}


@dataclass(frozen=True)
class Extent:
    """The largest finite and the smallest absolute value of a tensor."""

    largest: float
    smallest: float

    def joined(self, other: Extent) -> Extent:
        """The extent over both."""
        return Extent(max(self.largest, other.largest), min(self.smallest, other.smallest))

    @property
    def vanishes(self) -> bool:
        """True if a value that is not zero becomes zero in float16, and none was zero before."""
        return 0.0 < self.smallest < SMALLEST


def unsafe_nodes(model: ModelProto, feeds: Sequence[Feed] = (), *, margin: float = _MARGIN) -> dict[str, str]:
    """The first output of every node of the graph that float16 cannot compute, with the reason in a few words.

    Args:
        feeds: Inputs on which the model is run in float32; without them only its weights are looked at.
        margin: How many times larger values may become on other inputs.
    """
    values = _Values(model, LARGEST / margin)
    for feed in feeds:
        values.read(feed)
    return values.unsafe()


def overflowing(path: Path, feeds: Sequence[Feed]) -> dict[str, str]:
    """The first output of every float16 node in the file at `path` whose values float16 does not hold on a feed, with
    the reason. Empty for a file without float16.

    Every tensor is read, so that it is rounded to float16 behind each node; what a node adds up is computed as well.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(path))
    half = onnx.TensorProto.FLOAT16
    if not any(_names_type(one, half) for one in (*model.graph.initializer, *model.graph.input, *model.graph.node)):
        return {}
    halves = {name for name, kind in element_types(model).items() if kind == half}
    nodes = [node for node in model.graph.node if not halves.isdisjoint((*node.input, *node.output))]
    weights = {one.name: _wide(onnx.numpy_helper.to_array(one)) for one in model.graph.initializer}
    found: dict[str, str] = {}
    try:
        run = _runner(model)
    except Exception:  # noqa: BLE001  # its errors have no class in common; what does not run has other checks
        return {}
    for feed in feeds:
        arrays = {**weights, **{name: _wide(array) for name, array in {**feed, **(run(feed) or {})}.items()}}
        for node in nodes:
            reason = _overflow(node, arrays, halves, model)
            if reason:
                found.setdefault(node.output[0], f"{node.op_type}, {reason}")
    return found


class _Values:
    """What the tensors of one model hold over several feeds."""

    def __init__(self, model: ModelProto, limit: float) -> None:
        helper = need("onnx.numpy_helper", extra="export")
        self._limit = limit
        self._nodes = list(model.graph.node)
        arrays = {tensor.name: np.asarray(helper.to_array(tensor)) for tensor in model.graph.initializer}
        self._weights = {name: array for name, array in arrays.items() if array.dtype.kind in "fiu"}
        self._extents = {name: extent(array) for name, array in self._weights.items() if array.dtype.kind == "f"}
        self._inside: dict[str, float] = {}
        self._steep: set[str] = set()
        self._run = _runner(model)

    def read(self, feed: Feed) -> None:
        """Run the model on a feed and look at every tensor and sum; a feed that does not fit is left out."""
        found = self._run(feed)
        if found is None:
            return
        floats = {name: array for name, array in {**feed, **found}.items() if array.dtype.kind == "f" and array.size}
        for name, array in floats.items():
            seen = extent(array)
            self._extents[name] = self._extents[name].joined(seen) if name in self._extents else seen
        arrays = {**self._weights, **floats}
        for node in self._nodes:
            if node.input and node.input[0] in floats:
                key = node.output[0]
                self._inside[key] = max(self._inside.get(key, 0.0), _inside(node, arrays, self._limit))
                if node.op_type in _STASHED | _CENTRED and _is_steep(node, floats[node.input[0]]):
                    self._steep.add(node.input[0])

    def unsafe(self) -> dict[str, str]:
        """As `unsafe_nodes` says."""
        found: dict[str, str] = {}
        vanishing = self._vanishing()
        for node in self._nodes:
            reason = self._reason(node, vanishing)
            if reason and node.output:
                found[node.output[0]] = f"{node.op_type}, {reason}"
        return found

    def _reason(self, node: NodeProto, vanishing: frozenset[str]) -> str:
        seen = [self._extents[name].largest for name in (*node.input, *node.output) if name in self._extents]
        inside = self._inside.get(node.output[0], 0.0)
        largest = max([*seen, inside], default=0.0)
        if largest > self._limit:
            return f"{largest:.1e} inside"
        if not self._steep.isdisjoint((*node.input, *node.output)):
            return "differences are lost next to a large mean"
        if any(self._is_epsilon(name) for name in node.input):
            return "a constant of it becomes 0"
        divided = _divisor(node, self._weights)
        if divided in vanishing or not vanishing.isdisjoint(node.output):
            return "a divisor becomes 0"
        return ""

    def _vanishing(self) -> frozenset[str]:
        """Tensors that become zero in float16 before something divides by them."""
        divisors = {_divisor(node, self._weights) for node in self._nodes}
        tiny = {name for name, one in self._extents.items() if one.vanishes and name not in self._weights}
        for node in self._nodes:
            if node.op_type in _EPSILON and any(self._is_epsilon(name) for name in node.input):
                tiny.update(node.output)
        return frozenset(tiny & divisors)

    def _is_epsilon(self, name: str) -> bool:
        array = self._weights.get(name)
        return array is not None and array.size == 1 and array.dtype.kind == "f" and self._extents[name].vanishes


def extent(array: Array) -> Extent:
    """The extent of an array; not a number and infinity, which float16 has as well, do not count."""
    if not array.size:
        return Extent(0.0, math.inf)
    sizes = np.abs(array)
    finite = sizes if np.isfinite(sizes).all() else sizes[np.isfinite(sizes)]
    return Extent(float(finite.max(initial=0.0)), float(sizes.min()))


def _divisor(node: NodeProto, weights: Mapping[str, Array]) -> str:
    """The input of a node that must not become zero; empty if there is none."""
    place = _DIVIDING.get(node.op_type)
    if place is None:
        return ""
    exponent = weights.get(node.input[1]) if node.op_type == "Pow" else None
    return "" if exponent is not None and exponent.min() >= 1 else node.input[place]


def _inside(node: NodeProto, arrays: Mapping[str, Array], limit: float) -> float:
    """The largest value that a node may hold while it computes, where that is not one of its outputs."""
    read = [arrays.get(name) for name in node.input]
    first = read[0]
    if first is None or first.dtype.kind != "f":
        return 0.0
    if node.op_type in _ADDED | _SQUARED:
        parts = np.abs(first) if node.op_type in _ADDED else _square(first)
        return _highest(parts.sum(axis=_axes(node, arrays, first.ndim), dtype=np.float64))
    if node.op_type in _CENTRED:
        axes = _normal_axes(node, first.ndim)
        return _highest(_square(first - first.mean(axis=axes, keepdims=True)).sum(axis=axes))
    if node.op_type in _STASHED:
        return _highest(_square(first - first.mean(axis=_normal_axes(node, first.ndim), keepdims=True)))
    second = read[1] if len(read) > 1 else None
    if second is None or second.dtype.kind != "f":
        return 0.0
    if node.op_type in _PRODUCTS:
        return _product(node, first, second, limit)
    return _convolved(node, first, second) if node.op_type in _CONVOLUTIONS else 0.0


def _names_type(one: Any, kind: int) -> bool:
    """Whether a tensor, an input or a Cast has this element type."""
    if hasattr(one, "op_type"):
        return any(attribute.name == "to" and attribute.i == kind for attribute in one.attribute)
    own: int = one.data_type if hasattr(one, "data_type") else one.type.tensor_type.elem_type
    return own == kind


def _wide(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _overflow(node: NodeProto, arrays: Mapping[str, Array], halves: Collection[str], model: ModelProto) -> str:
    """Why float16 does not hold what a node computes from finite values; empty if it does."""
    read = [arrays[name] for name in node.input if name in arrays and arrays[name].dtype.kind == "f"]
    if not read or len(read) < len(node.input) - 1 or not all(np.isfinite(array).all() for array in read):
        return ""
    if node.input[0] in halves and node.op_type in _ADDED | _SQUARED | _CENTRED:
        inside = _inside(node, arrays, LARGEST)
        if inside > LARGEST:
            return f"{inside:.1e} inside"
    given = [name for name in node.output if name in halves and name in arrays]
    if all(np.isfinite(arrays[name]).all() for name in given):
        return ""
    exact = _alone(node, arrays, model)
    is_finite = exact is not None and all(np.isfinite(array).all() for array in exact)
    return f"{max(extent(array).largest for array in exact or ()):.1e}" if is_finite else ""


def _alone(node: NodeProto, arrays: Mapping[str, Array], model: ModelProto) -> list[Array] | None:
    """What a node gives in float32; None if that is not known."""
    if node.op_type == "Cast":
        return [arrays[node.input[0]]]
    onnx, ort = need("onnx", extra="export"), need("onnxruntime", extra="cpu")
    names = [name for name in dict.fromkeys(node.input) if name]
    if any(name not in arrays for name in names):
        return None
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(arrays[name].dtype), arrays[name].shape
        )
        for name in names
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "alone", inputs, outputs)
    whole = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = ort.InferenceSession(whole.SerializeToString(), settings, providers=["CPUExecutionProvider"])
        found: list[Array] = session.run(None, {name: arrays[name] for name in names})
    except Exception:  # noqa: BLE001  # its errors have no class in common
        return None
    return found


def _is_steep(node: NodeProto, array: Array) -> bool:
    """True if what a normalization is given varies little around a large mean."""
    axes = _normal_axes(node, array.ndim)
    spread = array.std(axis=axes, dtype=np.float64)
    return bool(((np.abs(array.mean(axis=axes)) > _STEEP * spread) & (spread > 0)).any())


def _normal_axes(node: NodeProto, rank: int) -> tuple[int, ...]:
    """The axes that a normalization takes its mean over."""
    first = 2 if node.op_type in _CENTRED else int(_option(node, "axis", -1)) % rank
    return tuple(range(first, rank))


def _product(node: NodeProto, first: Array, second: Array, limit: float) -> float:
    """The largest sum of the absolute products; a bound where that is small enough."""
    left = first.T if _option(node, "transA", 0) else first
    right = second.T if _option(node, "transB", 0) else second
    bound = left.shape[-1] * extent(left).largest * extent(right).largest
    return bound if bound <= limit else _highest(np.matmul(np.abs(left), np.abs(right)))


def _convolved(node: NodeProto, image: Array, weight: Array) -> float:
    """A bound of the sums of a convolution: the largest input times the weights of one output channel."""
    axes = (0, *range(2, weight.ndim)) if node.op_type == "ConvTranspose" else tuple(range(1, weight.ndim))
    return extent(image).largest * _highest(np.abs(weight).sum(axis=axes))


def _axes(node: NodeProto, arrays: Mapping[str, Array], rank: int) -> tuple[int, ...] | None:
    """The axes that a reduction sums over; None means all."""
    if node.op_type.startswith("Global"):
        return tuple(range(2, rank))
    if node.op_type == "LpNormalization":
        return (int(_option(node, "axis", -1)),)
    given = arrays.get(node.input[1]) if len(node.input) > 1 else _option(node, "axes", None)
    return None if given is None or not np.size(given) else tuple(int(axis) for axis in np.ravel(given))


def _option(node: NodeProto, name: str, default: Any) -> Any:
    helper = need("onnx.helper", extra="export")
    return next((helper.get_attribute_value(one) for one in node.attribute if one.name == name), default)


def _square(array: Array) -> Array:
    return np.square(array, dtype=np.float64)


def _highest(array: Array) -> float:
    return float(np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0).max(initial=0.0))


def _runner(model: ModelProto) -> Callable[[Feed], Feed | None]:
    """What gives every tensor of the graph for a feed, and None for one that the model does not take."""
    onnx, ort = need("onnx", extra="export"), need("onnxruntime", extra="cpu")
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    ends = {value.name for value in model.graph.output}
    names = [*ends, *(name for node in model.graph.node for name in node.output if name and name not in ends)]
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in ends)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    # Fatal alone: what is refused here is left out.
    settings.log_severity_level = 4
    session = ort.InferenceSession(whole.SerializeToString(), settings, providers=["CPUExecutionProvider"])

    def run(feed: Feed) -> Feed | None:
        try:
            found = session.run(names, feed)
        except Exception:  # noqa: BLE001  # its errors have no class in common
            return None
        return {name: array for name, array in zip(names, found, strict=True) if isinstance(array, np.ndarray)}

    return run
