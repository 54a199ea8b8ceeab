"""Profiled: what was measured on the devices of one command, and what is missing of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Final

from edgekit.core.errors import DeviceUnavailable, EdgekitError, EnvironmentFault, Interrupted, Unreadable
from edgekit.core.facts import Facts
from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import Latency, Missing, Operators, ParityCheck, Report
from edgekit.core.reports.sustained import Sustained
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.fleet.holding import Unable

UNABLE = "unable"
REFUSED = "refused"
AWAY = "away"
INTERRUPTED = "interrupted"
ITS_OWN: Final = (EnvironmentFault, Unreadable)
"""The errors of a device that cost a command only what it would have measured there."""


@dataclass
class Profiled:
    """The results of profiling, as a report contains them; `input` is that of all parts."""

    measurements: list[Measurement] = field(default_factory=list)
    latency: list[Latency] = field(default_factory=list)
    operators: list[Operators] = field(default_factory=list)
    sustained: list[Sustained] = field(default_factory=list)
    parity: list[ParityCheck] = field(default_factory=list)
    facts: dict[str, Facts] = field(default_factory=dict)
    facts_after: dict[str, Facts] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    input: str = ""

    def add(self, other: Profiled) -> None:
        """Take over everything of another part."""
        for one in fields(self):
            mine, its = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, dict):
                mine.update(its)
            elif isinstance(mine, list):
                mine.extend(its)

    def sort(self, targets: Sequence[Target]) -> None:
        """Order the rows by target, as they were named."""
        place = {str(target): number for number, target in enumerate(targets)}
        for rows in (self.measurements, self.latency, self.operators, self.sustained, self.missing):
            rows.sort(key=lambda row: place.get(row.target, len(place)))
        self.parity.sort(key=lambda row: place.get(row.where, len(place)))
        self.warnings[:] = dict.fromkeys(self.warnings)

    @property
    def is_interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return any(one.kind == INTERRUPTED for one in self.missing)


def missing_of(artifact: str, target: str, err: EdgekitError, *, batch: int = 1, launches: int = 0) -> Missing:
    """What a target lacks because of this error; `launches` had ended before."""
    kind = INTERRUPTED if isinstance(err, Interrupted) else REFUSED
    kind = AWAY if isinstance(err, DeviceUnavailable) else UNABLE if isinstance(err, Unable) else kind
    ended = f" {launches} launches had ended." if launches and kind in (AWAY, INTERRUPTED) else ""
    return Missing(artifact, target, kind, err.message + ended, err.hint, batch, launches)


def verdict_of(missing: Iterable[Missing], measured: Iterable[Measurement]) -> Verdict:
    """Incomplete if anything is missing that another run can add, or if a target ran nothing; else pass."""
    ran = {one.target for one in measured}
    is_short = any(one.is_open or one.target not in ran for one in missing)
    return Verdict.INCOMPLETE if is_short else Verdict.PASS


def kept_of(report: Report) -> Profiled:
    """What an earlier report has measured completely; nothing of what it misses."""
    missing = {(one.target, one.artifact, one.batch) for one in report.missing}
    complete = [one for one in report.measurements if (one.target, one.artifact, one.batch) not in missing]
    rows = {(one.target, one.artifact) for one in complete}
    sizes = [(one.target, one.artifact, one.sizes) for one in complete]
    targets = {one.target for one in complete}
    return Profiled(
        complete,
        [one for one in report.latency if (one.target, one.artifact, one.sizes) in sizes],
        [one for one in report.operators if (one.target, one.artifact, one.sizes) in sizes],
        [one for one in report.sustained if (one.target, one.artifact, one.sizes) in sizes],
        [one for one in report.parity if (one.where, one.artifact) in rows],
        {target: facts for target, facts in report.facts.items() if target in targets},
        {target: facts for target, facts in report.facts_after.items() if target in targets},
        input=report.input,
    )
