"""What a logarithm is taken of stays float, where layers with weights come after it."""

from __future__ import annotations

import pytest

from edgekit.export.graphs.front_end import front_end
from edgekit.export.graphs.trace import Operation


def chain(*kinds: str) -> list[Operation]:
    """Operators one after the other: `0` is the input, the first makes `1`."""
    return [Operation(kind, (str(place),), (str(place + 1),)) for place, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "kept"),
    [
        (("Conv", "Mul", "Log", "Conv", "Gemm"), ("1", "2", "3")),
        (("CONV_2D", "LOG", "RESHAPE", "FULLY_CONNECTED"), ("1", "2")),
        (("Conv", "Gemm", "Softmax", "Log"), ()),
        (("Conv", "Gemm"), ()),
    ],
    ids=["spectrum", "tflite", "score", "none"],
)
def test_the_way_to_a_logarithm_is_the_front_end(kinds: tuple[str, ...], kept: tuple[str, ...]) -> None:
    assert front_end(chain(*kinds)) == kept


def test_a_branch_beside_the_logarithm_is_none_of_it() -> None:
    side = Operation("Relu", ("0",), ("side",))
    operations = [side, *chain("Conv", "Log"), Operation("Conv", ("2", "side"), ("3",))]

    assert front_end(operations) == ("1", "2")
