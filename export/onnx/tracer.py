"""The trace of an .onnx file: every tensor becomes an output of a copy, which runs once per feed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.bundle import Signature
from edgekit.core.errors import ModelUnreadable
from edgekit.core.reports.bisect import RefusedOperator
from edgekit.core.samples import Array, Feed
from edgekit.core.system.native.notes import model_opening
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import DEQUANTIZE, QUANTIZE, Trait, kinds_of, named
from edgekit.export.graphs.trace import Graph, Operation, Trace, stacked, trace_of

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, TensorProto

_MOVES: Final = named("onnx", Trait.MOVES | Trait.REPEATS)
_BORDERS: Final = named("onnx", Trait.BORDER)
_PARTS: Final = named("onnx", Trait.PART)
_SIZES: Final = named("onnx", Trait.SIZES)
# Their range is that of their operator, or of the tensor whose values they hold.
_NO_OWN_RANGE: Final = named("onnx", Trait.FIXED_RANGE | Trait.MOVES | Trait.REPEATS | Trait.TAKES)
_WEIGHT: Final = re.compile(
    r"^(?:module\.)?(?P<module>[\w.]+)\.(?:weight|bias|in_proj\w*|\w*_l\d+)(?:_bias|_quantized|_Dequantize\w*|\w*)?$"
)


def trace(path: Path, feeds: Sequence[Feed], signature: Signature | None = None) -> Trace:
    """The trace of the file on every feed.

    Raises:
        ModelUnreadable: The file is not an ONNX model, or ONNX Runtime does not run it on these feeds.
    """
    del signature
    model = _loaded(path)
    graph = graph_of(model.graph)
    runs = _run_all(model, graph, feeds, path)
    values = stacked({**feed, **run} for feed, run in zip(feeds, runs, strict=True))
    return trace_of(graph, _with_quantized(graph, values))


def stored_steps(
    path: Path, feeds: Sequence[Feed], signature: Signature | None = None
) -> Iterator[Mapping[str, Array]]:
    """For every feed, by tensor: how many steps from zero each value is. Only tensors with a scale of their own."""
    del signature
    model = _loaded(path)
    makers = {name: node.op_type for node in model.graph.node for name in node.output}
    constants = {one.name: one for one in model.graph.initializer}
    found = {
        node.output[0]: node
        for node in model.graph.node
        if node.op_type == QUANTIZE and node.input[0] not in constants and node.input[1] in constants
        if makers.get(node.input[0]) not in _NO_OWN_RANGE
    }
    if not found:
        return
    onnx = need("onnx", extra="export")
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in found)
    session = _session(model)
    zeros = [_zero_point(node, constants) for node in found.values()]
    for feed in feeds:
        arrays = session.run(list(found), feed)
        yield {
            node.input[0]: array.astype("int32") - zero
            for node, array, zero in zip(found.values(), arrays, zeros, strict=True)
        }


def _zero_point(node: NodeProto, constants: Mapping[str, TensorProto]) -> int:
    """That of a QuantizeLinear with one scale; zero where it has none."""
    tensor = constants.get(node.input[2]) if len(node.input) > 2 else None
    return 0 if tensor is None else int(need("onnx", extra="export").numpy_helper.to_array(tensor).flat[0])


def graph_of(graph: GraphProto) -> Graph:
    """The operators of an ONNX graph."""
    constants = {one.name for one in graph.initializer}
    operations = tuple(_operation(node) for node in graph.node)
    inputs = tuple(value.name for value in graph.input if value.name not in constants)
    return Graph(
        operations, inputs, {value.name: value.name for value in graph.output}, _MOVES, _BORDERS, _PARTS, _SIZES
    )


def refused(path: Path, feeds: Sequence[Feed], signature: Signature | None, side: str) -> RefusedOperator | None:
    """The operator of the file called `side` that does not run on one of these feeds; None if all run."""
    del signature
    return next((found for feed in feeds if (found := first_refused(path, feed, side))), None)


def tensor_names(path: Path) -> Mapping[str, tuple[str, ...]]:
    """No name differs: the quantizer knows every tensor by its name in a trace."""
    del path
    return {}


def first_refused(path: Path, feed: Feed, side: str) -> RefusedOperator | None:
    """The first operator that ONNX Runtime does not run on this feed, found by bisection; None if it runs all."""
    model = _loaded(path)
    wrong = _wrong_input(model.graph, feed)
    if wrong is not None:
        return RefusedOperator(side, wrong[0], "input", wrong[1])
    nodes = list(model.graph.node)
    low, high = 0, len(nodes)
    reason = _failure(model, nodes, feed)
    if reason is None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        failed = _failure(model, nodes[:middle], feed)
        low, high, reason = (low, middle, failed) if failed is not None else (middle, high, reason)
    node = nodes[high - 1]
    constants = {one.name for one in model.graph.initializer}
    weights = tuple(name for name in node.input if name in constants)
    return RefusedOperator(side, node.output[0], node.op_type, reason, weights)


def _loaded(path: Path) -> ModelProto:
    onnx = need("onnx", extra="export")
    try:
        with model_opening(path):
            model: ModelProto = onnx.load(str(path))
    except Exception as err:
        raise ModelUnreadable(f"'{path}' is not an ONNX model: {err}.") from err
    return model


def _operation(node: NodeProto) -> Operation:
    kinds = kinds_of("onnx", node.op_type)
    return Operation(node.op_type, tuple(node.input), tuple(node.output), kinds, _module(node.input))


def _module(inputs: Iterable[str]) -> str:
    """The part of the network whose weights a node reads."""
    found = (_WEIGHT.match(name) for name in inputs)
    return next((match["module"] for match in found if match), "")


def _run_all(model: ModelProto, graph: Graph, feeds: Sequence[Feed], path: Path) -> list[Mapping[str, Array]]:
    onnx = need("onnx", extra="export")
    present = {value.name for value in model.graph.output}
    names = [*present, *(name for name in dict.fromkeys(_readable(graph)) if name not in present)]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    try:
        session = _session(model)
        return [dict(zip(names, session.run(names, feed), strict=True)) for feed in feeds]
    except Exception as err:  # ONNX Runtime raises classes of its own, which need not be importable here
        raise ModelUnreadable(f"ONNX Runtime does not run '{path}': {_first_line(err)}") from err


def _readable(graph: Graph) -> Iterator[str]:
    """Tensors worth reading. Those that are only quantized are read after DequantizeLinear: Q and DQ remain a pair.

    What is read in float32 as well, and what is given out, is read as it is.
    """
    unread = {*_PARTS, *_SIZES, *_MOVES, QUANTIZE}
    readers: dict[str, set[str]] = {}
    for one in graph.operations:
        for name in one.inputs:
            readers.setdefault(name, set()).add(one.operator)
    for one in graph.operations:
        if one.operator not in unread:
            yield from (name for name in one.outputs if name and readers.get(name, {""}) != {QUANTIZE})


def _with_quantized(graph: Graph, values: dict[str, Array]) -> dict[str, Array]:
    """`values` with those of tensors that were read behind their DequantizeLinear only."""
    stored = {one.outputs[0]: one.inputs[0] for one in graph.operations if one.operator == QUANTIZE}
    for one in graph.operations:
        name = stored.get(one.inputs[0]) if one.operator == DEQUANTIZE else None
        if name is not None and one.outputs[0] in values:
            values.setdefault(name, values[one.outputs[0]])
    return values


def _session(model: ModelProto) -> Any:
    ort = need("onnxruntime", extra="cpu")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])


def _failure(model: ModelProto, nodes: Sequence[NodeProto], feed: Feed) -> str | None:
    """Why the graph of these nodes does not run; None if it does."""
    cut = need("onnx", extra="export").ModelProto()
    cut.CopyFrom(model)
    del cut.graph.node[:], cut.graph.output[:], cut.graph.value_info[:]
    cut.graph.node.extend(nodes)
    onnx = need("onnx", extra="export")
    cut.graph.output.extend(onnx.ValueInfoProto(name=name) for name in nodes[-1].output if name)
    try:
        _session(cut).run(None, feed)
    except Exception as err:  # noqa: BLE001  # ONNX Runtime raises classes of its own
        return _first_line(err)
    return None


def _wrong_input(graph: GraphProto, feed: Feed) -> tuple[str, str] | None:
    for value in graph.input:
        sizes = feed[value.name].shape if value.name in feed else ()
        dims = value.type.tensor_type.shape.dim
        for place, (dim, size) in enumerate(zip(dims, sizes, strict=False)):
            if dim.HasField("dim_value") and dim.dim_value != size:
                return value.name, f"axis {place} is fixed at {dim.dim_value} in this file; the case has {size}"
    return None


def _first_line(err: BaseException) -> str:
    line = next((line.strip() for line in str(err).splitlines() if line.strip()), type(err).__name__)
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
