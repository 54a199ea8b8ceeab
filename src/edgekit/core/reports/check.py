"""The document of `edgekit check`: every check of every model on every target, and what was measured for it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Estimate, Report
from edgekit.core.verdict import Verdict

# 1: first version. 2: results carry the metric they rest on.
CHECK_SCHEMA: Final = 2

Kind = Literal["parity", "budget", "baseline", "history"]


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One check of one artifact on one target.

    `metric` is what it rests on, such as `latency`. `estimate` is in `unit`: the value a budget limits, or the ratio to
    the baseline. `p_value` is what takes part in Holm's method; None for what noise has no part in. `message` is one
    sentence for people. `in_a_row` counts the runs, this one included, in which it was inconclusive.
    """

    model: str
    artifact: str
    target: str
    kind: Kind
    check: str
    verdict: Verdict
    metric: str = ""
    message: str = ""
    unit: str = ""
    estimate: Estimate = Estimate(None)
    p_value: float | None = None
    in_a_row: int = 0

    @property
    def key(self) -> str:
        """What it is called in the history."""
        return f"{self.series} {self.check}"

    @property
    def series(self) -> str:
        """What its latency is called in the history."""
        return f"{self.model}/{self.artifact}@{self.target}"


class CheckReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every result, the reports and comparisons they rest on, and the verdict under the policy."""

    created: str
    config: str
    commit: str
    policy: str
    results: tuple[Checked, ...]
    verdict: Verdict
    reports: tuple[Report, ...] = ()
    comparisons: tuple[Compared, ...] = ()
    warnings: tuple[str, ...] = ()
    command: str = "check"
    schema_version: int = CHECK_SCHEMA

    @property
    def inconclusive(self) -> tuple[Checked, ...]:
        """The results that could not be decided."""
        return tuple(one for one in self.results if one.verdict is Verdict.INCONCLUSIVE)
