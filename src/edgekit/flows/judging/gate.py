"""The models, targets and budgets of one run of `edgekit check`, and its results so far."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from edgekit.core.budget import Budget
from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.recipe import RECIPES, Recipe
from edgekit.core.reports.check import Checked
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.history import Line
from edgekit.core.reports.report import Report, cell, is_report
from edgekit.core.statistics.events import Night, SeriesKey
from edgekit.core.system.check_settings import BaselineMetric, CheckedModel, CheckFile
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.export.checking.accuracy import metric_of
from edgekit.flows.fleet.profiled import Profiled
from edgekit.flows.judging.budgets import extras_for, parse_budgets, refuse_unmeasurable
from edgekit.flows.judging.comparison import read_report
from edgekit.flows.measuring.cells import DEFAULT_TIME_LIMIT_S
from edgekit.flows.measuring.measure import measure
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.measuring.rounds import Rounds
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opened, without_signature
from edgekit.flows.opening.devices import named_targets


@dataclass(frozen=True)
class Gated:
    """One model and everything it is compared with, opened; `against` is the name of the baseline.

    `begins_with` is the file of calls from end to end, or empty for a sample. The name identifies a check in the
    history, so it is the same for every commit.
    """

    model: CheckedModel
    found: Opened
    artifacts: tuple[Artifact, ...]
    baseline: Opened | Report | None
    targets: tuple[Target, ...]
    budgets: tuple[Budget, ...]
    against: str = ""
    begins_with: str = ""


def open_gated(folder: Path, file: CheckFile, model: CheckedModel, stack: ExitStack, progress: Progress) -> Gated:
    """The model and its baseline, opened once for the whole run and closed with `stack`.

    Raises:
        UserError: An unknown device, a budget that cannot be measured, or a missing baseline.
        Unreadable: A bundle or file is damaged.
    """
    targets = named_targets(model.target or file.target)
    for target in targets:
        devices.open_device(target.device).close()
    found = stack.enter_context(_opened(folder / model.path, model, progress, is_own=bool(model.source)))
    artifacts = found.chosen(model.artifact)
    known = [Recipe.parse(one.recipe) for one in artifacts if one.recipe in RECIPES]
    budgets = parse_budgets([*file.budgets, *model.budgets], targets, known)
    begins_with = str(folder / model.end_to_end) if model.end_to_end else ""
    refuse_unmeasurable(budgets, metric_of(found.spec, found.samples), found.spec, begins_with)
    baseline = _baseline(folder, file, model, stack, progress) if model.baseline else None
    against = "the baseline commit" if file.baseline_commit and model.source else model.baseline
    return Gated(model, found, artifacts, baseline, targets, budgets, against, begins_with)


def _baseline(
    folder: Path, file: CheckFile, model: CheckedModel, stack: ExitStack, progress: Progress
) -> Opened | Report:
    path = folder / model.baseline
    if not without_signature(path)[0].exists():
        # A report is measured, and not accepted: 'history accept' would only send on to 'profile'.
        measured = ["edgekit", "profile", str(folder / model.path), "--report", str(path)]
        accepted = ["edgekit", "history", "accept", "--model", model.called, "--why", "first baseline"]
        hint = shlex.join(measured if is_report(path) else accepted)
        raise UserError(f"There is no baseline '{path}' of '{model.called}'.", hint=hint)
    if is_report(path):
        return read_report(path)
    is_own = bool(file.baseline_commit and model.source)
    return stack.enter_context(_opened(path, model, progress, is_own=is_own))


def _opened(path: Path, model: CheckedModel, progress: Progress, *, is_own: bool) -> AbstractContextManager[Opened]:
    """A file of the model, with the sizes and inputs in the configuration, if these are not for its export.

    `is_own`: this run has exported it.
    """
    sizes, inputs = ((), ()) if model.source else (model.sizes, model.inputs)
    hint = partial(_sizes_hint, model.called)
    return opened(path, sizes=sizes, inputs=inputs, hint=hint, is_own=is_own, progress=progress)


def _sizes_hint(name: str, texts: Sequence[str]) -> str:
    return f"In the [[check.models]] of '{name}': sizes = {json.dumps(list(texts))}"


@dataclass
class Gate:
    """The configuration, the earlier runs, and the results of this run so far."""

    file: CheckFile
    settings: Settings
    progress: Progress
    lines: tuple[Line, ...]
    results: list[Checked] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    comparisons: list[Compared] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    nights: dict[SeriesKey, Night] = field(default_factory=dict)
    since: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def compares(self, metric: BaselineMetric) -> bool:
        """Whether a metric is compared with baselines."""
        return metric in (self.file.baseline_metrics or (metric,))

    def cannot_compare(self, metric: BaselineMetric, name: str, reason: str) -> None:
        """Say that a metric that the configuration names is not judged, and why."""
        if metric in self.file.baseline_metrics:
            self.warnings.append(f"Not compared with the baseline: {metric} of {name}, because {reason}.")

    def protocol(self, *, again: bool = False) -> Protocol:
        """How artifacts are compared; `again` changes the random order."""
        file, seed = self.file, self.settings.seed + 1000 * again
        return Protocol(file.launches, file.time_box_s, file.minimum_effect, file.alpha, seed, self.settings.wait_s)

    def profile(self, gated: Gated, artifacts: Sequence[Artifact], *, again: int = 0) -> Profiled:
        """Latency and parity of artifacts on every target of the model; `again` counts re-measurements."""
        seed = self.settings.seed + again
        rounds = Rounds(
            self.file.launches,
            self.file.time_limit_s or DEFAULT_TIME_LIMIT_S,
            seed=seed,
            wait_s=self.settings.wait_s,
        )
        exported = bool(gated.model.source)
        extras = extras_for(gated.budgets, gated.begins_with)
        found = measure(
            gated.found, gated.targets, artifacts, rounds, self.progress, extras, exported=exported, is_partial=True
        )
        if found.is_interrupted:
            raise KeyboardInterrupt
        return found


def is_measured(report: Report, artifact: str, target: Target) -> bool:
    """Whether a report has all launches of an artifact on a target."""
    return bool(cell(report.measurements, artifact, target)) and not cell(report.missing, artifact, target)


def confirmed(alarm: Checked, second: Verdict, figure: str) -> Checked:
    """The alarm after a fresh measurement, whose verdict counts; `figure` is what it measured."""
    says = "confirmed" if second is Verdict.FAIL else "not confirmed"
    return msgspec.structs.replace(alarm, verdict=second, message=f"{alarm.message}, {says} by {figure}")
