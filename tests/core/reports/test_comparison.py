"""Promises of core/reports/comparison.py."""

from __future__ import annotations

import pytest

from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import Direction
from edgekit.core.verdict import Verdict


@pytest.mark.parametrize(
    ("says", "verdict"),
    [
        ("slower", Verdict.FAIL),
        ("faster", Verdict.PASS),
        ("equal", Verdict.PASS),
        ("inconclusive", Verdict.INCONCLUSIVE),
    ],
)
def test_only_what_is_slower_fails(says: Direction, verdict: Verdict) -> None:
    assert Compared("local", "a", "b", Estimate(1.0), None, says).verdict is verdict
