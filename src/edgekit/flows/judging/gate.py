"""What one run of `edgekit check` needs everywhere: what is asked of each model, and what was gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edgekit.core.budget import Budget
from edgekit.core.bundle import Artifact
from edgekit.core.reports.check import Checked
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Report
from edgekit.core.system.check_settings import CheckedModel, CheckFile
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows import history
from edgekit.flows.measuring.cells import DEFAULT_TIME_LIMIT_S
from edgekit.flows.measuring.measure import Profiled, measure
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.measuring.rounds import Rounds
from edgekit.flows.opening.artifacts import Opened


@dataclass(frozen=True)
class Order:
    """One model with what is asked of it, checked before any work; `against` is what people call the baseline.

    It names a check in the history, so it is the same for every commit.
    """

    model: CheckedModel
    path: Path
    baseline: Path | None
    targets: tuple[Target, ...]
    budgets: tuple[Budget, ...]
    against: str = ""


@dataclass
class Gate:
    """The file, the earlier runs, and what this run has gathered."""

    file: CheckFile
    settings: Settings
    progress: Progress
    lines: tuple[history.Line, ...]
    results: list[Checked] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    comparisons: list[Compared] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def protocol(self, *, again: bool = False) -> Protocol:
        """How artifacts are compared; `again` has another order."""
        file, seed = self.file, self.settings.seed + 1000 * again
        return Protocol(file.launches, file.time_box_s, file.minimum_effect, file.alpha, seed)

    def profile(self, order: Order, found: Opened, artifacts: Sequence[Artifact], *, again: int = 0) -> Profiled:
        """Latency and parity of artifacts on every target of the model; `again` counts re-measurements."""
        seed = self.settings.seed + again
        rounds = Rounds(self.file.launches, self.file.time_limit_s or DEFAULT_TIME_LIMIT_S, seed=seed)
        return measure(found, order.targets, artifacts, rounds, self.progress)


def confirmed(alarm: Checked, second: Verdict, told: str) -> Checked:
    """The alarm after a fresh measurement, whose verdict counts; `told` is its figure."""
    says = "confirmed" if second is Verdict.FAIL else "not confirmed"
    return msgspec.structs.replace(alarm, verdict=second, message=f"{alarm.message}, {says} by {told}")
