"""An output is cut where its scale changes, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.core.samples import Array
from edgekit.export.checking.parts import Part, parts_of

RNG = np.random.default_rng(0)


def scaled(*scales: float, rows: int = 32, after: int = 1) -> NDArray[np.float32]:
    values: NDArray[np.float64] = RNG.uniform(-1, 1, (rows, len(scales), after)) * np.array(scales)[None, :, None]
    return values.astype(np.float32)


def taken(part: Part, array: Array) -> Array:
    found = part.of(array)
    assert found is not None
    return found


def test_two_quantities_in_one_tensor_are_two_parts() -> None:
    small, large = parts_of(scaled(*[640.0] * 4, *[1.0] * 6, after=20))

    assert (small.name, large.name) == ("[..., 4:10, :]", "[..., 0:4, :]")
    assert small.magnitude.span == pytest.approx(2, rel=0.01)
    assert taken(small, np.zeros((3, 10, 20))).shape == (3, 6, 20)


def test_a_part_is_found_in_one_sample_without_a_batch_axis_too() -> None:
    small, _ = parts_of(scaled(100.0, 1.0, 1.0, after=5))

    assert np.array_equal(taken(small, np.arange(15.0).reshape(3, 5)), np.arange(5.0, 15.0).reshape(2, 5))
    assert small.of(np.zeros((4, 5))) is None


def test_scores_joined_with_boxes_are_one_part_however_rare_their_classes_are() -> None:
    rows = np.abs(scaled(640.0, 640.0, 1.0, 1e-2, 1e-4, 1e-6, 1e-8))

    assert {part.name for part in parts_of(rows)} == {"[..., 0:2, :]", "[..., 2:7, :]"}


def test_indices_with_gaps_are_listed() -> None:
    names = {part.name for part in parts_of(scaled(640.0, 1.0, 640.0, 1.0)[..., 0])}

    assert names == {"[..., 1,3]", "[..., 0,2]"}


@pytest.mark.parametrize(
    "array",
    [
        scaled(*[1.0] * 10),
        scaled(*np.geomspace(1, 1e4, 40)),  # a gradual spread
        scaled(1.0, 100.0, 1e4, 1e6, 1e8),  # too many to be parts
        np.abs(scaled(1.0, 0.01)),  # probabilities, of which one class is rare
        scaled(1.0, 0.0),  # a constant channel
        RNG.integers(0, 1000, (4, 4)),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 0, 2), np.float32),
    ],
    ids=["one scale", "gradual", "many", "probabilities", "constant", "integers", "zeros", "empty"],
)
def test_one_quantity_is_not_cut(array: NDArray[np.float32]) -> None:
    assert parts_of(array) == ()
