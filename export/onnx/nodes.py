"""The nodes of an ONNX graph, including those of branches and loop bodies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from graphlib import TopologicalSorter
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import GraphProto, NodeProto


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, in order."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from nodes_of(inner)


def rename(graph: GraphProto, names: Mapping[str, str]) -> None:
    """Give tensors of the graph itself other names, wherever they are made and read; inputs and outputs keep theirs."""
    for tensor in (*graph.initializer, *graph.value_info):
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename_borders(inner, names)
                rename(inner, names)


def name_borders(graph: GraphProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give the inputs and outputs these names; a tensor inside that has one of them gets another."""
    made = [one for node in nodes_of(graph) for one in node.output] + [one.name for one in graph.initializer]
    names = dict(zip((value.name for value in graph.input), inputs, strict=True))
    for value, wanted in zip(graph.output, outputs, strict=True):
        if value.name in names:
            # An output that is an input too, or that is given out twice.
            node = graph.node.add()
            node.op_type = "Identity"
            node.input.append(value.name)
            value.name = f"{value.name}_again_{len(names)}"
            node.output.append(value.name)
        names[value.name] = wanted
    taken = {*made, *names, *inputs, *outputs}
    for name in [one for one in made if one in {*inputs, *outputs} and one not in names]:
        names[name] = next(free for free in (f"{name}_{number}" for number in count(1)) if free not in taken)
        taken.add(names[name])
    _rename_borders(graph, names)
    rename(graph, names)


def _rename_borders(graph: GraphProto, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def captured(node: NodeProto) -> frozenset[str]:
    """Tensors of the graph around a node that its branches or bodies read."""
    graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs)]
    return frozenset(name for graph in graphs for name in _free(graph))


def _free(graph: GraphProto) -> set[str]:
    """Names that a graph reads and does not make."""
    read = {name for node in graph.node for name in (*node.input, *captured(node)) if name}
    own = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    made = own | {name for node in graph.node for name in node.output}
    return (read | {value.name for value in graph.output}) - made


def put_in_order(graph: GraphProto) -> None:
    """Put every node behind those that it reads, as the standard demands; ONNX Runtime runs other orders as well.

    Raises:
        CycleError: Nodes read each other in a circle.
    """
    for inner in (
        one for node in graph.node for attribute in node.attribute for one in (attribute.g, *attribute.graphs)
    ):
        put_in_order(inner)
    makers = {name: place for place, node in enumerate(graph.node) for name in node.output if name}
    reads = [{makers[name] for name in (*node.input, *captured(node)) if name in makers} for node in graph.node]
    if all(one < place for place, read in enumerate(reads) for one in read):
        return
    order = tuple(TopologicalSorter(dict(enumerate(reads))).static_order())
    nodes = [deepcopy(graph.node[place]) for place in order]
    del graph.node[:]
    graph.node.extend(nodes)


def as_initializers(graph: GraphProto) -> None:
    """Turn the constants among the nodes of the graph itself into weights; those that it gives out stay."""
    helper = need("onnx.numpy_helper", extra="export")
    ends = {value.name for value in graph.output}
    constants = [one for one in graph.node if one.op_type == "Constant" and one.output[0] not in ends]
    arrays = {one.output[0]: _constant(one) for one in constants}
    kept = [one for one in graph.node if not one.output or arrays.get(one.output[0]) is None]
    graph.initializer.extend(helper.from_array(array, name) for name, array in arrays.items() if array is not None)
    del graph.node[:]
    graph.node.extend(kept)


def _constant(node: NodeProto) -> np.ndarray | None:
    """The value of a Constant; None for strings and sparse tensors."""
    onnx = need("onnx", extra="export")
    attribute = node.attribute[0]
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.name == "value":
        return None if value.data_type == onnx.TensorProto.STRING else np.asarray(onnx.numpy_helper.to_array(value))
    dtype = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}.get(attribute.name)
    return None if dtype is None else np.asarray(value, dtype)


def name_apart(graph: GraphProto) -> None:
    """Give every node of the graph itself a name of its own."""
    taken = Counter(node.name for node in graph.node)
    for place, node in enumerate(graph.node):
        if not node.name or taken[node.name] > 1:
            node.name = f"{node.name or node.op_type}_{place}"


def names_repeat(graph: GraphProto) -> bool:
    """True if two nodes of the graph itself have one name, which ONNX Runtime refuses."""
    names = [node.name for node in graph.node if node.name]
    return len(set(names)) < len(names)
