"""Promises of core/spec/metric.py."""

from __future__ import annotations

import pytest

from edgekit.core.spec.metric import Metric, drop_unit, metric_unit


@pytest.mark.parametrize(("metric", "higher"), [("accuracy", True), ("mae", False), ("mse", False)])
def test_errors_are_better_when_lower(metric: str, higher: bool) -> None:
    assert Metric(metric).higher_is_better is higher


@pytest.mark.parametrize(
    ("metric", "unit", "drop"),
    [("accuracy", "ratio", "points"), ("auc", "ratio", "points"), ("bleu", "1", "1"), ("mae", "1", "1")],
)
def test_shares_are_printed_in_per_cent_and_their_drops_in_points(metric: str, unit: str, drop: str) -> None:
    assert (metric_unit(metric), drop_unit(metric)) == (unit, drop)


@pytest.mark.parametrize(
    ("metric", "value", "met"),
    [
        (Metric("accuracy"), None, True),
        (Metric("accuracy", 0.9), None, False),
        (Metric("accuracy", 0.9), 0.91, True),
        (Metric("accuracy", 0.9), 0.89, False),
        (Metric("mae", 0.9), 0.89, True),
        (Metric("mae", 0.9), 0.91, False),
    ],
)
def test_a_floor_is_met_from_the_side_that_is_better(metric: Metric, value: float | None, met: bool) -> None:
    assert metric.is_met_by(value) is met
