"""Looking into .toy files: what they compute on the way, and what they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgekit.core.bundle import Signature
from edgekit.core.reports.bisect import RefusedOperator
from edgekit.core.reports.graph import TensorFacts
from edgekit.core.samples import Array, Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.graphs.contents import Contents, Node, Weight
from edgekit.export.graphs.trace import Graph, Operation, Trace, stacked, trace_of

from .file import ToyFile


def trace(path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Trace:
    """Two steps, the product and the ReLU, on every feed."""
    del signature
    made = ToyFile.read(path)
    operations = (
        Operation("TOY_DENSE", (made.input, "weight"), ("dense",), frozenset({"dense"})),
        Operation("TOY_RELU", ("dense",), (made.output,), frozenset({"relu"})),
    )
    graph = Graph(operations, (made.input,), {made.output: made.output})
    runs = [{**feed, "dense": made.dense(feed[made.input]), made.output: made.run(feed[made.input])} for feed in feeds]
    return trace_of(graph, stacked(runs))


def refused(path: Path, feeds: Sequence[Feed], signature: Signature | None, side: str) -> RefusedOperator | None:
    """Nothing is."""
    del path, feeds, signature, side
    return None


def stored_steps(path: Path, feeds: Sequence[Feed], signature: Signature | None) -> Iterator[Mapping[str, Array]]:
    """No tensor but the weights has a scale."""
    del path, feeds, signature
    yield from ()


def tensor_names(path: Path) -> Mapping[str, tuple[str, ...]]:
    """All as they are traced."""
    del path
    return {}


def read_contents(path: Path, spec: ModelSpec) -> Contents:
    """The layer with its weights."""
    del spec
    made = ToyFile.read(path)
    rows, columns = made.weight.shape
    weight = Weight("weight", made.weight.dtype.name, made.weight.shape, made.weight.nbytes, made.real)
    result = TensorFacts("dense", "float32", (1, columns), 4 * columns, False)
    return Contents((Node("TOY_DENSE", rows * columns), Node("TOY_RELU")), (weight,), (result,))
