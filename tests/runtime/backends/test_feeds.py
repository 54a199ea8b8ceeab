"""Feeds are checked against what an artifact takes, and every problem is reported at once."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.backends.feeds import check_feed, ties

INPUTS = (TensorSpec("image", "float32", ("N", 2)), TensorSpec("mask", "bool", ("N", "T")))


def feed(**changes: object) -> dict[str, object]:
    return {"image": np.zeros((4, 2), np.float32), "mask": np.zeros((4, 7), np.bool_), **changes}


def test_a_feed_that_fits_passes() -> None:
    check_feed(feed(), INPUTS)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image": np.zeros((4, 3), np.float32)}, "'image' has shape (4, 3), expected (N, 2)."),
        ({"image": np.zeros(2, np.float32)}, "'image' has shape (2,), expected (N, 2)."),
        ({"image": np.zeros((4, 2))}, "'image' has dtype float64, expected float32."),
        ({"image": np.zeros((4, 2), ">f4")}, "'image' has dtype float32 in non-native byte order, expected float32."),
        ({"image": [[1.0, 2.0]]}, "'image' is of type list, expected a numpy array."),
        ({"mask": np.zeros((5, 7), np.bool_)}, "Axis N is 4 in 'image' and 5 in 'mask'."),
        ({"imgae": 0}, "'imgae' is not an input of the model. Did you mean 'image'?"),
    ],
)
def test_a_misfit_is_named_with_what_was_expected(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(UserError) as caught:
        check_feed(feed(**changes), INPUTS)

    assert problem in caught.value.message
    assert caught.value.hint == "The model takes image:float32[N,2], mask:bool[N,T]."


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(UserError) as caught:
        check_feed({"imge": 0, "mask": np.zeros((4, 7))}, INPUTS)

    assert caught.value.message.splitlines()[1:] == [
        "  'image' is missing. Did you mean 'imge'?",
        "  'imge' is not an input of the model. Did you mean 'image'?",
        "  'mask' has dtype float64, expected bool.",
    ]


def test_further_dtypes_may_be_taken() -> None:
    check_feed(feed(mask=np.zeros((4, 7), np.int8)), INPUTS, {"mask": ("int8",)})


def test_ties_connect_every_place_of_a_free_axis() -> None:
    square = TensorSpec("square", "float32", ("N", "N"))

    assert ties((*INPUTS, square)) == (("image", 0, "mask", 0), ("mask", 0, "square", 0), ("square", 0, "square", 1))
