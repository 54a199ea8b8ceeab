"""Joins at an output whose parts differ in range stay float, and what only holds their values."""

from __future__ import annotations

import pytest

from edgekit.export.graphs.joins import MixedJoin, joins_at_outputs, mixed_joins
from edgekit.export.graphs.trace import Operation

BOXES, SCORES = Operation("Mul", ("x",), ("boxes",)), Operation("Sigmoid", ("x",), ("scores",))
JOIN = Operation("Concat", ("boxes", "scores"), ("joined",))
VIEW = Operation("Reshape", ("joined",), ("y",))


def test_a_join_behind_which_values_only_move_is_at_the_output() -> None:
    assert joins_at_outputs([BOXES, SCORES, JOIN, VIEW], ["y"]) == (JOIN,)


def test_a_join_that_a_layer_reads_is_none() -> None:
    assert joins_at_outputs([BOXES, SCORES, JOIN, Operation("Conv", ("joined", "w"), ("y",))], ["y"]) == ()


@pytest.mark.parametrize(
    ("boxes", "scores", "mixed"),
    [((0, 640), (0, 1), True), ((-1, 1), (0, 1), False), ((0, 8), (0, 1), False), ((0, 640), (0, 0), False)],
    ids=["pixels", "shares", "eight times", "zeros"],
)
def test_parts_are_compared_by_their_ranges(
    boxes: tuple[float, float], scores: tuple[float, float], mixed: bool
) -> None:
    found = list(mixed_joins([BOXES, SCORES, JOIN, VIEW], [JOIN], {"boxes": boxes, "scores": scores}))

    assert found == ([MixedJoin("joined", (boxes, scores), ("y",))] if mixed else [])


def test_it_is_said_which_ranges_were_joined() -> None:
    one = MixedJoin("joined", ((-28.9, 640.0), (0.0, 1.0), (0.0, 1.0)), ())

    assert one.described == "the parts of 'joined' have the ranges -28.9 to 640 and 0 to 1"
