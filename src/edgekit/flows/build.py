"""`edgekit build`, the main job: from a network to a verdict on the user's devices."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edgekit.core.budget import Budget
from edgekit.core.errors import UserError
from edgekit.core.recipe import DEFAULT_RECIPES, Recipe, parse_recipes
from edgekit.core.reports.report import Report
from edgekit.core.system import documents
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target, parse_targets
from edgekit.flows.explain import explained
from edgekit.flows.export import Exported, ExportOptions, export_steps, prepared_source, refuse_unmendable, write_bundle
from edgekit.flows.judging.budgets import judge_budgets, outcomes, overall, parse_budgets, refuse_unmeasurable
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.measuring.measure import Profiled, measure, rounds_of
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opened, opens
from edgekit.flows.opening.source import (
    Source,
    SourceOptions,
    is_reference,
    open_source,
    refuse_impossible,
    refuse_unused,
)
from edgekit.flows.order import Plan
from edgekit.flows.train import train
from edgekit.train.weights import shipped_weights

BUNDLE: Final = "bundle"
RUN: Final = "run"
REPORT_JSON: Final = "report.json"
REPORT_HTML: Final = "report.html"


@dataclass(frozen=True)
class _Order:
    """What was asked for, checked before any work."""

    recipes: tuple[Recipe, ...]
    targets: tuple[Target, ...]
    budgets: tuple[Budget, ...]


@dataclass
class _Stages:
    """Wall time of each stage in seconds, told to a Progress as it goes."""

    progress: Progress
    times: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        start = time.perf_counter()
        with self.progress.stage(title):
            yield
        self.times[title] = round(time.perf_counter() - start, 3)


def build(
    source: str,
    *,
    out: str | Path,
    target: str | Sequence[str] = "local",
    to: str | Sequence[str] = DEFAULT_RECIPES,
    budget: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    train_first: bool = False,
    launches: int | None = None,
    time_limit_s: float | None = None,
    force: bool = False,
    progress: Progress = Silent(),
) -> Report:
    """Train if needed, export, validate, evaluate, profile and judge `source`.

    Writes `OUT/bundle`, `OUT/report.json` and `OUT/report.html` (and `OUT/run` after a training), whole or not at all.

    Args:
        source: Reference model, run directory, or `file.py:factory` (whose code is run).
        target: Targets as text, see `Target.parse`.
        to: Recipe names or aliases.
        budget: Limits such as `latency.p90 <= 8 ms`.
        how: Accuracy that has to be kept.
        train_first: Train a reference model even when it has weights already.

    Returns:
        The report; `report.verdict` is the verdict, `report.outcomes` name the chosen artifact of each target.

    Raises:
        UserError, EnvironmentFault, ConversionFailed, Unreadable: As their messages say.
    """
    order = _checked(target, to, budget, Path(out), force)
    _check_source(source, options, train_first)
    stages = _Stages(progress)
    with new_folder(Path(out), force=force) as staging:
        if _must_train(source, options, train_first):
            with stages.stage("train"):
                train(source, out=staging / RUN, data=options.data, settings=settings, progress=progress)
            source = str(staging / RUN)
        with stages.stage("load"):
            opened_source = prepared_source(open_source(source, options, settings), how)
            refuse_impossible(opened_source, order.recipes)
            refuse_unmendable(opened_source, order.recipes, how)
            refuse_unmeasurable(order.budgets, labelled=opened_source.split.evaluation.labels is not None)
        with stages.stage("export"):
            exported = write_bundle(opened_source, order.recipes, staging / BUNDLE, settings, progress, how)
        with stages.stage("profile"), opened(staging / BUNDLE) as found:
            profiled = _profile(order, found, exported, launches, time_limit_s, settings, progress)
            report = _report(order, opened_source, exported, profiled, settings, stages.times, Path(out) / BUNDLE)
            report = explained(report, found)
        _write_reports(report, staging)
    return report


def plan_build(
    source: str,
    *,
    out: str | Path,
    target: str | Sequence[str] = "local",
    to: str | Sequence[str] = DEFAULT_RECIPES,
    budget: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    train_first: bool = False,
    launches: int | None = None,
    time_limit_s: float | None = None,
    force: bool = False,
) -> Plan:
    """What `build` with the same arguments would do."""
    order = _checked(target, to, budget, Path(out), force)
    _check_source(source, options, train_first)
    if _must_train(source, options, train_first):
        first: tuple[str, ...] = (
            f"train '{source}'",
            *(f"make '{one.name}' and check its parity" for one in order.recipes),
        )
    else:
        opened_source = prepared_source(open_source(source, options, settings), how)
        refuse_impossible(opened_source, order.recipes)
        refuse_unmendable(opened_source, order.recipes, how)
        first = export_steps(opened_source, order.recipes, how)
    return Plan(
        "build",
        (
            *first,
            *(
                f"measure every artifact on {one}: {launches or settings.launches} fresh processes"
                for one in order.targets
            ),
            *(f"judge '{one.text}'" for one in order.budgets),
            f"write '{out}'",
        ),
    )


def _checked(
    target: str | Sequence[str], to: str | Sequence[str], budget: str | Sequence[str], out: Path, force: bool
) -> _Order:
    recipes, targets = parse_recipes(to), parse_targets(target)
    budgets = parse_budgets(budget, targets, recipes)
    refuse_existing(out, force=force)
    for one in targets:
        devices.open_device(one.device).close()
        if not any(opens(one, recipe) for recipe in recipes):
            names = ", ".join(recipe.name for recipe in recipes)
            raise UserError(f"Target '{one}' opens none of {names}.", hint=f"--target {one.device}")
    return _Order(recipes, targets, budgets)


def _check_source(source: str, options: SourceOptions, train_first: bool) -> None:
    """Before a training, not after it."""
    refuse_unused(source, options)
    if train_first and options.weights:
        raise UserError("--train makes weights and --weights gives them.", hint="Leave one of the two out.")
    if train_first and not is_reference(source):
        raise UserError(f"'{source}' is no reference model, so edgekit cannot train it.", hint="edgekit list models")


def _must_train(source: str, options: SourceOptions, train_first: bool) -> bool:
    missing = is_reference(source) and options.weights is None and shipped_weights(source) is None
    return missing or (train_first and is_reference(source))


def _profile(
    order: _Order,
    found: Opened,
    exported: Exported,
    launches: int | None,
    time_limit_s: float | None,
    settings: Settings,
    progress: Progress,
) -> Profiled:
    """What keeps parity, on the targets that open any of it."""
    chosen = [one for one in found.artifacts if _may_be_timed(one.recipe, exported)]
    targets = [target for target in order.targets if any(opens(target, one) for one in chosen)]
    if not targets:
        return Profiled()
    return measure(found, targets, chosen, rounds_of(settings, launches, time_limit_s), progress)


def _may_be_timed(artifact: str, exported: Exported) -> bool:
    """False for an artifact that failed parity: its latency would be one of a wrong model."""
    return all(check.verdict != "fail" for check in exported.result.parity if check.artifact == artifact)


def _report(
    order: _Order,
    source: Source,
    exported: Exported,
    profiled: Profiled,
    settings: Settings,
    stages: dict[str, float],
    bundle: Path,
) -> Report:
    result = exported.result
    figures = Findings(
        result.spec,
        str(bundle),
        result.artifacts,
        result.parity,
        result.accuracy,
        profiled,
        split=source.split.facts(source.samples_from),
        training=source.training,
        warnings=exported.warnings,
    )
    checks = judge_budgets(order.budgets, order.targets, figures)
    found = outcomes(order.budgets, checks, order.targets, figures)
    verdict = overall(found, figures.parity)
    return figures.report("build", settings, verdict=verdict, outcomes=found, budgets=checks, stages=stages)


def _write_reports(report: Report, folder: Path) -> None:
    from edgekit.report.registry import write_report

    documents.write(folder / REPORT_JSON, report)
    write_report(report, folder / REPORT_HTML)
