"""Findings: everything that a command measured of one model, and the Report made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from edgekit.core.bundle import Artifact
from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import (
    Accuracy,
    BudgetCheck,
    Latency,
    Missing,
    Outcome,
    ParityCheck,
    RecipeFailure,
    Report,
    Training,
)
from edgekit.core.samples import SplitFacts
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.documents import now
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.fleet.profiled import Profiled, verdict_of
from edgekit.flows.opening.repository import reproduction
from edgekit.flows.opening.versions import versions


@dataclass(frozen=True)
class Findings:
    """Figures of the artifacts of one model: what this machine checked, and what was measured on targets."""

    spec: ModelSpec | None
    bundle: str
    artifacts: tuple[Artifact, ...]
    checked: tuple[ParityCheck, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    profiled: Profiled = field(default_factory=Profiled)
    split: SplitFacts | None = None
    training: Training | None = None
    warnings: tuple[str, ...] = ()
    failures: tuple[RecipeFailure, ...] = ()

    @property
    def parity(self) -> tuple[ParityCheck, ...]:
        """Checks on this machine, then those of the outputs from targets."""
        return (*self.checked, *self.profiled.parity)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Raw values of every artifact on every target."""
        return tuple(self.profiled.measurements)

    @property
    def latency(self) -> tuple[Latency, ...]:
        """The figures of those values."""
        return tuple(self.profiled.latency)

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What could not be measured on its target."""
        return tuple(self.profiled.missing)

    @property
    def completeness(self) -> Verdict:
        """Incomplete if a device could not be measured, else pass."""
        return verdict_of(self.profiled.missing, self.profiled.measurements)

    def report(
        self,
        command: str,
        settings: Settings,
        *,
        verdict: Verdict,
        outcomes: tuple[Outcome, ...],
        budgets: tuple[BudgetCheck, ...] = (),
        stages: Mapping[str, float] = MappingProxyType({}),
    ) -> Report:
        """The Report of `command`, as of now; a recipe that could not be made fails it."""
        return Report(
            command=command,
            created=now(),
            spec=self.spec,
            bundle=self.bundle,
            split=self.split,
            artifacts=self.artifacts,
            failures=self.failures,
            parity=self.parity,
            accuracy=self.accuracy,
            measurements=self.measurements,
            latency=self.latency,
            operators=tuple(self.profiled.operators),
            sustained=tuple(self.profiled.sustained),
            budgets=budgets,
            outcomes=outcomes,
            training=self.training,
            missing=self.missing,
            facts=self.profiled.facts,
            facts_after=self.profiled.facts_after,
            tools=versions(),
            stages=dict(stages),
            warnings=(*self.warnings, *self.profiled.warnings),
            verdict=worst([verdict, self.completeness, *([Verdict.FAIL] if self.failures else [])]),
            seed=settings.seed,
            reproduction=reproduction(),
            input=self.profiled.input,
        )
