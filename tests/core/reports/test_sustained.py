"""Change under sustained load, from the first quarter of the time to the last."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.reports.sustained import Sustained, SustainedPoint, change


def points(factor: float, count: int = 24) -> tuple[SustainedPoint, ...]:
    """Latencies that rise to `factor` times the first, with 1 % noise."""
    rng = np.random.default_rng(0)
    levels = 1e-3 * np.linspace(1.0, factor, count) * np.exp(rng.normal(0, 0.01, count))
    return tuple(SustainedPoint(float(place), float(level), 100) for place, level in enumerate(levels))


@pytest.mark.parametrize("factor", [1.0, 1.2])
def test_the_change_is_that_of_the_last_quarter(factor: float) -> None:
    found = change(points(factor))

    # Quarters of a line: their means lie three quarters of the way apart.
    truth = (1 + (factor - 1) * 0.89) / (1 + (factor - 1) * 0.11) - 1
    assert found is not None
    assert found.low < truth < found.high
    assert (found.low <= 0 <= found.high) is (factor == 1.0)


def test_few_points_give_no_change() -> None:
    assert change(points(1.2, count=11)) is None


def test_the_moment_of_throttling_is_the_first() -> None:
    states = [None, False, True, False, True]
    found = tuple(SustainedPoint(10.0 * place, 1e-3, 1, throttled=state) for place, state in enumerate(states))

    assert Sustained("pi", "onnx-fp32", {}, found).throttled_s == 20.0
    assert Sustained("pi", "onnx-fp32", {}, found[:2]).throttled_s is None
