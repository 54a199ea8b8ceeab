"""Score: the quality of a model on samples, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from edgekit.core.reports.report import Estimate
from edgekit.core.statistics import intervals


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The headline metric with its 95 % interval, further metrics by name, and for classifiers the confusion matrix.

    `confusion[t][p]` counts samples of class t that were predicted as class p.
    """

    metric: str
    estimate: Estimate
    details: dict[str, Estimate] = {}
    confusion: tuple[tuple[int, ...], ...] = ()

    @property
    def value(self) -> float:
        """The estimate of the headline metric."""
        assert self.estimate.value is not None
        return self.estimate.value


def as_estimate(found: intervals.Interval) -> Estimate:
    """An interval as the Estimate of a report."""
    return Estimate(found.value, found.low, found.high, found.n)


def score_of(metric: str, details: Mapping[str, Estimate], confusion: tuple[tuple[int, ...], ...] = ()) -> Score:
    """A score whose headline metric is one of `details`."""
    rest = {name: value for name, value in details.items() if name != metric}
    return Score(metric, details[metric], rest, confusion)
