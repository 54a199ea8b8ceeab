"""Errors, signal over noise and scales are what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.export.checking.difference import Difference, Magnitude

NAN, INF = float("nan"), float("inf")


def test_a_tenth_of_noise_is_twenty_decibels() -> None:
    difference = Difference.between(np.array([1.0, -1.0]), np.array([1.1, -0.9]))

    assert difference.sqnr_db() == pytest.approx(20.0)
    assert difference.largest == pytest.approx(0.1)
    assert difference.mean == pytest.approx(0.1)


def test_equal_arrays_have_no_noise() -> None:
    difference = Difference.between(np.ones(3), np.ones(3))

    assert difference.sqnr_db() is None
    assert difference.worst_row() is None
    assert difference.equal_share == 1.0


@pytest.mark.parametrize(
    ("expected", "answer", "largest"),
    [(NAN, NAN, 0.0), (INF, INF, 0.0), (INF, -INF, INF), (1.0, NAN, INF), (NAN, 1.0, INF), (1.0, INF, INF)],
)
def test_values_that_are_not_finite_are_equal_or_infinitely_far(expected: float, answer: float, largest: float) -> None:
    assert Difference.between(np.array([expected]), np.array([answer])).largest == largest


def test_an_infinite_error_leaves_no_signal() -> None:
    assert Difference.between(np.array([1.0, 2.0]), np.array([1.0, NAN])).sqnr_db() == -INF


def test_a_silent_reference_is_measured_by_the_power_it_is_given() -> None:
    difference = Difference.between(np.zeros(4), np.full(4, 0.1))

    assert difference.sqnr_db() == -INF
    assert difference.sqnr_db(least_power=1.0) == pytest.approx(20.0)


def test_the_worst_row_is_the_one_with_the_largest_difference() -> None:
    expected = np.zeros((3, 2, 2))
    answer = expected.copy()
    answer[0] += 0.1
    answer[2, 1, 0] = 0.3

    assert Difference.between(expected, answer).worst_row() == 2


@pytest.mark.parametrize(
    ("values", "span", "power"),
    [([-1.0, 3.0], 4.0, 5.0), ([2.0, 2.0], 2.0, 4.0), ([0.0], 1.0, 0.0), ([], 1.0, 0.0), ([1.0, NAN, -1.0], 2.0, 1.0)],
)
def test_the_scale_is_range_and_power(values: list[float], span: float, power: float) -> None:
    assert Magnitude.of(np.array(values)) == Magnitude(span, power)


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=8), st.floats(1e-3, 1e3))
def test_signal_over_noise_does_not_depend_on_the_unit(values: list[float], unit: float) -> None:
    expected = np.array(values) + 1.0
    answer = expected * 1.01

    first, second = (Difference.between(expected * k, answer * k).sqnr_db() for k in (1.0, unit))

    assert (first is None) == (second is None)
    if first is not None and second is not None:
        assert first == pytest.approx(second, abs=1e-6)


def test_integers_are_compared_by_value_whatever_their_width() -> None:
    difference = Difference.between(np.array([1, 2, 3], np.int64), np.array([1, 2, 4], np.int32))

    assert difference.equal_share == pytest.approx(2 / 3)


def test_cosine_and_top1_are_those_of_the_two_outputs() -> None:
    found = Difference.between(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [1.0, 0.0]]))

    assert found.cosine == pytest.approx(2 / np.sqrt(2 * 5))
    assert found.top1 == 0.5
    assert Difference.between(np.zeros((2, 1)), np.ones((2, 1))).cosine is None
    assert Difference.between(np.zeros((2, 1)), np.ones((2, 1))).top1 is None


def test_texts_are_equal_or_not_and_have_no_size() -> None:
    texts = np.array(["a", "b", "c"])

    found = Difference.between(texts, np.array(["a", "b", "x"]))

    assert Magnitude.of(texts) == Magnitude(1.0, 0.0)
    assert (found.error.tolist(), found.answer.tolist()) == ([0.0, 0.0, 1.0], [0.0, 0.0, 1.0])
    assert found.reference.tolist() == [0.0, 0.0, 0.0]
    assert found.equal_share == pytest.approx(2 / 3)


def test_nothing_differs_in_nothing() -> None:
    found = Difference.between(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))

    assert (found.largest, found.mean, found.equal_share) == (0.0, 0.0, 1.0)
    assert (found.sqnr_db(), found.worst_row(), found.top1, found.cosine) == (None, None, None, None)


def test_rows_of_any_shape_have_one_largest_value_each() -> None:
    expected = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]])
    answer = np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]]])

    assert Difference.between(expected, answer).top1 == 0.5


def test_all_is_computed_in_float64() -> None:
    found = Difference.between(np.array([1, 2], np.int8), np.array([1, 2], np.float16))

    assert {found.reference.dtype, found.answer.dtype, found.error.dtype} == {np.dtype(np.float64)}
