from __future__ import annotations

import pytest

from edgekit.core.reports.report import Estimate
from edgekit.flows.judging.quality import agreement


def estimate(value: float, low: float = 0.0, high: float = 1.0, n: int = 1000) -> Estimate:
    return Estimate(value, low, high, n)


@pytest.mark.parametrize(
    ("metric", "found", "card", "same", "agrees"),
    [
        ("accuracy", estimate(0.992), estimate(0.990), True, True),
        ("accuracy", estimate(0.993), estimate(0.990), True, False),
        ("accuracy", estimate(0.75, n=4), estimate(1.0, n=4), True, False),
        ("mse", estimate(1.0005e-4), estimate(1e-4), True, True),
        ("mse", estimate(1.01e-4), estimate(1e-4), True, False),
        ("accuracy", estimate(0.95, 0.94, 0.96), estimate(0.97, 0.96, 0.98), False, True),
        ("accuracy", estimate(0.94, 0.93, 0.95), estimate(0.97, 0.96, 0.98), False, False),
        ("accuracy", estimate(0.94, 0.93, 0.95), Estimate(0.94, reason="one draw"), False, False),
        ("accuracy", Estimate(None, reason="no labels"), estimate(0.9), True, False),
    ],
)
def test_figures_agree_when_only_rounding_lies_between_them(
    metric: str, found: Estimate, card: Estimate, same: bool, agrees: bool
) -> None:
    assert agreement(metric, found, card, same_data=same)[0] is agrees
