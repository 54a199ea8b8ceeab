"""The document of `edgekit check`: every check of every model on every target, with its measurements."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Estimate, Report
from edgekit.core.reports.reproduction import Reproduction
from edgekit.core.statistics.events import Event
from edgekit.core.system.documents import Document
from edgekit.core.verdict import Verdict

# 1: first version. 2: results contain their metric. 3: and both figures of a baseline.
# 4: tools and reproduction. 5: the line of the configuration that asks for a check.
# 6: what is slower than in earlier runs, by cause. 7: reports may contain calls from end to end.
CHECK_SCHEMA: Final = 7

Kind = Literal["parity", "budget", "baseline", "history", "device"]


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A figure before and now, in `unit`, and their difference with its 95 % interval.

    Of what is measured in pairs, `now` is the figure before times the ratio, in which the noise of a pair cancels.
    """

    unit: str
    before: Estimate
    now: Estimate
    difference: Estimate

    @property
    def difference_unit(self) -> str:
        """The unit in which the difference is printed."""
        return "points" if self.unit == "ratio" else self.unit


class Checked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One check of one artifact on one target.

    `metric` is what was checked, e.g. `latency`. `estimate` is in `unit`: the value that a budget limits, or the ratio
    to the baseline, whose figures are in `change`. `p_value` is the input of Holm's method; None for what has no noise.
    `message` is one sentence for people. `in_a_row` counts the consecutive runs, this one included, in which the check
    was inconclusive. `line` is that of the configuration in which the budget or the baseline is written. A `device`
    check says what could not be measured.
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
    change: Change | None = None
    line: int = 1

    @property
    def key(self) -> str:
        """The name of the check in the history."""
        return f"{self.series} {self.check}"

    @property
    def series(self) -> str:
        """The name of its latency in the history."""
        return f"{self.model}/{self.artifact}@{self.target}"


class CheckReport(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every result, its reports and comparisons, and the verdict under the policy.

    `events` are the series that are slower than in earlier runs, put together by their cause.
    """

    created: str
    config: str
    commit: str
    policy: str
    results: tuple[Checked, ...]
    verdict: Verdict
    reports: tuple[Report, ...] = ()
    comparisons: tuple[Compared, ...] = ()
    events: tuple[Event, ...] = ()
    warnings: tuple[str, ...] = ()
    tools: dict[str, str] = {}
    reproduction: Reproduction | None = None
    command: str = "check"
    schema_version: int = CHECK_SCHEMA

    @property
    def inconclusive(self) -> tuple[Checked, ...]:
        """The inconclusive results."""
        return tuple(one for one in self.results if one.verdict is Verdict.INCONCLUSIVE)
