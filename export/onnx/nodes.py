"""The nodes of an ONNX graph, including those of branches and loop bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

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
    for node in nodes_of(graph):
        for place, name in enumerate(node.input):
            node.input[place] = names.get(name, name)
        for place, name in enumerate(node.output):
            node.output[place] = names.get(name, name)
