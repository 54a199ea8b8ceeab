"""Joins at an output: parts of very different ranges that become one tensor, as boxes in pixels and their scores.

One int8 scale for such a tensor is that of its largest part: of scores joined with boxes of 640 pixels no step is left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edgekit.export.graphs.operators import Trait, named
from edgekit.export.graphs.trace import Operation

# A part with an eighth of the whole range keeps 32 of 256 steps: five bits of its eight.
LARGEST_RATIO: Final = 8.0
REMEDY: Final = "give the parts as outputs of their own, or scale them alike, e.g. boxes as shares of the image"

JOINS: Final = frozenset({"Concat", "CONCATENATION", "PACK"})
_CARRYING: Final = Trait.MOVES | Trait.REPEATS | Trait.TAKES
_CARRIERS: Final = named("onnx", _CARRYING) | named("tflite", _CARRYING) | JOINS
Range = tuple[float, float]


@dataclass(frozen=True)
class MixedJoin:
    """A join whose parts differ in range: the tensor it makes, the ranges of its parts, and the tensors behind it that
    only hold its values."""

    tensor: str
    ranges: tuple[Range, ...]
    behind: tuple[str, ...]

    @property
    def described(self) -> str:
        """`the parts of 'cat' have the ranges 0 to 640 and 0 to 1`."""
        different = dict.fromkeys(f"{low:.3g} to {high:.3g}" for low, high in self.ranges)
        return f"the parts of '{self.tensor}' have the ranges {' and '.join(different)}"


def joins_at_outputs(operations: Sequence[Operation], outputs: Collection[str]) -> tuple[Operation, ...]:
    """Joins whose values reach an output of the model as they are."""
    reaching = set(outputs)
    found = []
    for one in reversed(operations):
        if one.operator in _CARRIERS and reaching.intersection(one.outputs):
            reaching.update(one.inputs)
            found += [one] if one.operator in JOINS else []
    return tuple(reversed(found))


def mixed_joins(
    operations: Sequence[Operation], joins: Sequence[Operation], ranges: Mapping[str, Range]
) -> Iterator[MixedJoin]:
    """Those of `joins` whose parts have ranges that differ by more than LARGEST_RATIO.

    Args:
        ranges: Smallest and largest value of tensors; parts that are not in it are not compared.
    """
    for join in joins:
        known = tuple(ranges[name] for name in join.inputs if name in ranges)
        spans = [span for span in map(_span, known) if span > 0]
        if spans and _span(_union(known)) > LARGEST_RATIO * min(spans):
            yield MixedJoin(join.outputs[0], known, tuple(_behind(operations, join)))


def _behind(operations: Sequence[Operation], join: Operation) -> Iterator[str]:
    reached = set(join.outputs)
    for one in operations:
        if one.operator in _CARRIERS and reached.intersection(one.inputs):
            reached.update(one.outputs)
            yield from one.outputs


def _span(one: Range) -> float:
    """The width of what a scale has to hold: zero always is."""
    return max(one[1], 0.0) - min(one[0], 0.0)


def _union(ranges: Sequence[Range]) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)
