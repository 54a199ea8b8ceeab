"""What a float32 graph needs before onnxruntime quantizes it, and after: its quantizer has faults with such graphs."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.export.graphs.learned_ranges import Range, is_learned
from edgekit.export.onnx.nodes import as_initializers, captured, name_apart, nodes_of
from edgekit.export.onnx.opsets import PER_CHANNEL, at_opset, opset_of

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, ModelProto, NodeProto, TensorProto

# Their scales are taken per channel, of one axis.
_NORMALIZATIONS: Final = frozenset(("LayerNormalization", "InstanceNormalization"))


def prepare(source: Path, out: Path) -> bool:
    """Write `source`, folded and with shapes, to `out`; True when symbolic shape inference worked.

    It has an opset that knows one scale per channel, no constants among its nodes, no weight that a Gemm shares, and
    no grouped ConvTranspose with a bias. Every node has a name of its own.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    if opset_of(model) < PER_CHANNEL:
        model = at_opset(model, PER_CHANNEL)
    as_initializers(model.graph)
    name_apart(model.graph)
    _split_biases(model.graph)
    _unshare(model.graph)
    onnx.save(model, str(out))
    return _inferred(out)


def take_ranges(source: Path, out: Path) -> dict[str, Range]:
    """Write `source` without the learned ranges in its graph to `out`; the ranges by tensor.

    Nothing is written where no range is found.
    """
    onnx = need("onnx", extra="export")
    model = onnx.load(str(source))
    as_initializers(model.graph)
    found: dict[str, Range] = {}
    for node in list(model.graph.node):
        ends = _ends(node, model.graph)
        if ends is not None and is_learned(*ends) and (name := _bypassed(node, model.graph)):
            found[name] = ends
    if found:
        onnx.save(model, str(out))
    return found


def _ends(node: NodeProto, graph: GraphProto) -> Range | None:
    """The constant limits of a node, if it has both."""
    if node.op_type != "Clip" or len(node.input) < 3:
        return None
    to_array = need("onnx.numpy_helper", extra="export").to_array
    limits = [to_array(one) for name in node.input[1:3] for one in graph.initializer if one.name == name]
    return (float(limits[0]), float(limits[1])) if [one.size for one in limits] == [1, 1] else None


def _bypassed(node: NodeProto, graph: GraphProto) -> str:
    """Remove a node; the name of its tensor from now on, empty where the node has to stay."""
    given, made = node.input[0], node.output[0]
    outputs = {value.name for value in graph.output}
    maker = next((one for one in graph.node if given in one.output), None)
    readers = [one for one in nodes_of(graph) if given in one.input and one is not node]
    if maker is not None and not readers and given not in outputs:
        maker.output[list(maker.output).index(given)] = made
    elif made in outputs:
        return ""
    else:
        for reader in nodes_of(graph):
            for place, name in enumerate(reader.input):
                reader.input[place] = given if name == made else name
        made = given
    graph.node.remove(node)
    return made


def _inferred(path: Path) -> bool:
    shapes = need("onnxruntime.quantization.shape_inference", extra="cpu")
    whole = str(path.absolute())
    try:
        # Where it cannot follow the shapes, it leaves the graph in the current folder, which is the user's.
        with temporary_folder() as folder, contextlib.chdir(folder):
            shapes.quant_pre_process(whole, whole, skip_symbolic_shape=False)
    except Exception:  # noqa: BLE001  # it raises Exception itself: "Incomplete symbolic shape inference"
        # Its documented way out for such graphs.
        shapes.quant_pre_process(whole, whole, skip_symbolic_shape=True)
        return False
    return True


def unsupported(model: ModelProto) -> Iterator[NodeProto]:
    """Nodes that static quantization cannot express: normalizations over several axes."""
    ranks = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type in _NORMALIZATIONS and ranks.get(node.input[1], 1) > 1:
            yield node


def repaired(model: ModelProto, states: Mapping[str, str] = MappingProxyType({})) -> ModelProto:
    """A quantized model in order, with every weight stored once.

    Args:
        states: Inputs by the output from which each continues: both get the scale of the output, so that a state is not
            rounded again between two chunks.
    """
    for output, name in states.items():
        _tie(model.graph, output, name)
    _sort(model.graph)
    _merge(model.graph)
    return model


def _tie(graph: GraphProto, output: str, name: str) -> None:
    """Quantize the input `name` as the output is; nothing happens where either is float32 or stored otherwise."""
    made = {one: node for node in graph.node for one in node.output}
    last = made.get(output)
    firsts = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == name]
    if last is None or last.op_type != "DequantizeLinear":
        return
    for first in firsts:
        readers = [node for node in graph.node if first.output[0] in node.input]
        if all(node.op_type == "DequantizeLinear" for node in readers):
            for node in (first, *readers):
                given = node.input[0]
                del node.input[:]
                node.input.extend([given, *list(last.input)[1:]])


def _split_biases(graph: GraphProto) -> None:
    """Put the bias of a grouped ConvTranspose into an Add: its scales would be those of the weights of one group."""
    onnx = need("onnx", extra="export")
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        nodes.append(node)
        groups = next((one.i for one in node.attribute if one.name == "group"), 1)
        if node.op_type != "ConvTranspose" or groups == 1 or len(node.input) < 3 or node.input[2] not in weights:
            continue
        bias = onnx.numpy_helper.to_array(weights[node.input[2]])
        rank = len(weights[node.input[1]].dims) if node.input[1] in weights else 4
        shaped = f"{node.input[2]}_{node.output[0]}"
        graph.initializer.append(onnx.numpy_helper.from_array(bias.reshape(-1, *[1] * (rank - 2)), shaped))
        name, node.output[0] = node.output[0], f"{node.output[0]}_unbiased"
        del node.input[2]
        nodes.append(onnx.helper.make_node("Add", [node.output[0], shaped], [name], f"{node.name}_bias"))
    del graph.node[:]
    graph.node.extend(nodes)


def _unshare(graph: GraphProto) -> None:
    """Give every Gemm a weight of its own: onnxruntime 1.31 transposes the weight once for each Gemm that reads it."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    readers = Counter(name for node in nodes_of(graph) for name in set(node.input))
    for node in [one for one in nodes_of(graph) if one.op_type == "Gemm"]:
        name = node.input[1]
        if name in weights and readers[name] > 1:
            readers[name] -= 1
            copy = graph.initializer.add()
            copy.CopyFrom(weights[name])
            node.input[1] = copy.name = f"{name}_{node.output[0]}"


def _sort(graph: GraphProto) -> None:
    """Every node after those that it depends on, also by what its branches and bodies read."""
    waiting = list(graph.node)
    missing = {name for node in waiting for name in node.output if name}
    ordered: list[NodeProto] = []
    while waiting:
        ready = [node for node in waiting if missing.isdisjoint((*node.input, *captured(node)))]
        if not ready:
            return
        ordered += ready
        missing.difference_update(name for node in ready for name in node.output)
        done = {id(node) for node in ready}
        waiting = [node for node in waiting if id(node) not in done]
    del graph.node[:]
    graph.node.extend(ordered)


def _merge(graph: GraphProto) -> None:
    """Weights of two axes or more that are equal are stored once."""
    first: dict[tuple[str, ...], str] = {}
    other: dict[str, str] = {}
    ends = {value.name for value in graph.output}
    for tensor in graph.initializer:
        if len(tensor.dims) > 1 and tensor.name not in ends:
            found = first.setdefault(_content(tensor), tensor.name)
            other |= {tensor.name: found} if found != tensor.name else {}
    for node in nodes_of(graph):
        for place, name in enumerate(node.input):
            node.input[place] = other.get(name, name)
    kept = [tensor for tensor in graph.initializer if tensor.name not in other]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _content(tensor: TensorProto) -> tuple[str, ...]:
    array = need("onnx.numpy_helper", extra="export").to_array(tensor)
    return str(tensor.data_type), str(array.shape), hashlib.sha256(array.tobytes()).hexdigest()
