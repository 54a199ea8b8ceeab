"""Intervals by the bootstrap over samples."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.statistics.bootstrap import Rows, Statistic, bootstrap_difference, bootstrap_interval
from edgekit.core.statistics.intervals import paired_mean_difference


def mean_of(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Statistic:
    return lambda rows: float(values[rows].mean())


def test_the_interval_of_a_mean_is_that_of_student() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)

    found, known = bootstrap_interval(200, mean_of(values)), paired_mean_difference(np.zeros(200), values)

    assert found.value == pytest.approx(known.value)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.05)


def test_a_difference_uses_the_same_draws_for_both() -> None:
    values = np.random.default_rng(0).normal(5, 2, 200)

    shifted = bootstrap_difference(200, mean_of(values + 1), mean_of(values))

    assert (shifted.value, shifted.low, shifted.high) == pytest.approx((1, 1, 1))
    assert shifted.detectable == pytest.approx(0, abs=1e-9)


def test_what_can_be_detected_is_that_of_a_paired_mean() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.normal(5, 2, 300), generator.normal(5, 2, 300)

    found, known = bootstrap_difference(300, mean_of(first), mean_of(second)), paired_mean_difference(second, first)

    assert found.detectable == pytest.approx(known.detectable, rel=0.1)


def test_blocks_are_drawn_together() -> None:
    drawn: list[Rows] = []

    def noted(rows: Rows) -> float:
        drawn.append(rows)
        return 0.0

    bootstrap_interval(12, noted, block=4, draws=5)

    for rows in drawn[:-1]:
        assert (np.diff(rows.reshape(3, 4), axis=1) == 1).all()
