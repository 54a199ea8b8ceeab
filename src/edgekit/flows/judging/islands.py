"""A quantized ONNX file as ONNX Runtime optimizes it: float operators between int8 ones, and activation types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import DEQUANTIZE, QUANTIZE, Trait, named

_SIGNED: Final = 3  # onnx.TensorProto.INT8
_FATAL: Final = 4
_BORDERS: Final = named("onnx", Trait.BORDER)
# They move values and compute none.
_MOVES: Final = named("onnx", Trait.MOVES | Trait.TAKES | Trait.SIZES)


@dataclass(frozen=True)
class QuantizedGraph:
    """Islands of float operators between int8 ones, by type, whether activations are signed, and all operators."""

    islands: tuple[tuple[str, int], ...]
    borders: int
    signed_activations: bool
    operators: int = 0

    @property
    def described(self) -> str:
        """`1 Conv, 2 Sigmoid`."""
        return ", ".join(f"{count} {kind}" for kind, count in self.islands)


def read_quantized(path: Path) -> QuantizedGraph:
    """The graph of `path` as ONNX Runtime's CPU provider runs it on this machine, after all its optimizations.

    Raises:
        MissingExtra: onnx or onnxruntime is not installed.
    """
    onnx = need("onnx", extra="export")
    given = onnx.load(str(path), load_external_data=False).graph
    with temporary_folder() as folder:
        optimized = onnx.load(str(_optimized(path, Path(folder) / "optimized.onnx"))).graph
    islands, borders = _islands(optimized)
    signed = _has_signed_activations(given)
    return QuantizedGraph(tuple(sorted(islands.items())), borders, signed, len(optimized.node))


def _optimized(path: Path, out: Path) -> Path:
    ort = need("onnxruntime", extra="cpu")
    settings = ort.SessionOptions()
    settings.optimized_model_filepath = str(out)
    settings.log_severity_level = _FATAL
    ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    return out


def _islands(graph: Any) -> tuple[Counter[str], int]:
    """Float operators on a way from a dequantized activation to a quantization, and how many such activations lead in.

    What only leads to an output of the model, or only comes from an input, is no island.
    """
    made = {name for node in graph.node for name in node.output}
    starts = [node for node in _of(graph.node, DEQUANTIZE) if node.input[0] in made]
    after = _reached(
        {node.output[0] for node in starts}, [(node.input, node.output) for node in graph.node if not _borders(node)]
    )
    before = _reached(
        {node.input[0] for node in _of(graph.node, QUANTIZE)},
        [(node.output, node.input) for node in reversed(graph.node) if not _borders(node)],
    )
    inside = [
        node for node in graph.node if not _borders(node) and set(node.input) & after and set(node.output) & before
    ]
    entered = {name for node in inside for name in node.input}
    count = Counter(node.op_type for node in inside if node.op_type not in _MOVES)
    return count, sum(node.output[0] in entered for node in starts)


def _borders(node: Any) -> bool:
    return node.op_type in _BORDERS


def _reached(names: set[str], steps: Iterable[tuple[Iterable[str], Iterable[str]]]) -> set[str]:
    """All names that `names` lead to; every step comes after those it builds on."""
    found = set(names)
    for sources, results in steps:
        if found.intersection(sources):
            found.update(results)
    return found


def _has_signed_activations(graph: Any) -> bool:
    """Whether QuantizeLinear nodes, which quantize activations, give int8 rather than uint8."""
    types = {one.name: one.data_type for one in graph.initializer}
    points = [node.input[2] for node in _of(graph.node, QUANTIZE) if len(node.input) > 2]
    return bool(points) and all(types.get(name) == _SIGNED for name in points)


def _of(nodes: Iterable[Any], kind: str) -> Iterable[Any]:
    return (node for node in nodes if node.op_type == kind)
