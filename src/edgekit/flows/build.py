"""`edgekit build`, the main job: from a network to a verdict on the user's devices."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.budget import Budget
from edgekit.core.errors import UserError
from edgekit.core.recipe import Recipe, matches, parse_recipes
from edgekit.core.reports.report import BuildOrigin, ParityCheck, Report
from edgekit.core.system import documents
from edgekit.core.system.files import new_folder, refuse_existing
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.export.checking.accuracy import metric_of
from edgekit.export.routes import makeable_recipes
from edgekit.flows.calls.ability import refuse_other_calls
from edgekit.flows.fleet.profiled import Profiled, kept_of
from edgekit.flows.judging.budgets import (
    extras_for,
    judge_budgets,
    outcomes,
    overall,
    parse_budgets,
    refuse_unmeasurable,
)
from edgekit.flows.judging.comparison import read_report, refuse_other_files
from edgekit.flows.judging.explained import explained
from edgekit.flows.judging.needed_samples import say_widths
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.measuring.measure import Extras, measure, rounds_of
from edgekit.flows.measuring.rounds import Rounds
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opened, opens
from edgekit.flows.opening.devices import named_targets
from edgekit.flows.opening.source import (
    ExportOptions,
    Source,
    SourceOptions,
    is_reference,
    ready_source,
    refuse_unused,
)
from edgekit.flows.order import door
from edgekit.flows.saliency.pictured import with_pictures
from edgekit.flows.train import train
from edgekit.flows.writing.bundle import converting_steps, write_bundle, writing_steps
from edgekit.flows.writing.origin import MadeFrom, refuse_changed
from edgekit.train.weights import shipped_weights

BUNDLE: Final = "bundle"
RUN: Final = "run"
REPORT_JSON: Final = "report.json"
REPORT_HTML: Final = "report.html"


@dataclass(frozen=True)
class Making:
    """A source by name, its options, and what to make from it; `budgets` must be measurable on it.

    `left_out` says which default recipes need what is not there.
    """

    name: str
    options: SourceOptions
    how: ExportOptions
    recipes: tuple[Recipe, ...]
    budgets: tuple[Budget, ...]
    settings: Settings
    left_out: tuple[str, ...] = ()
    origin: BuildOrigin | None = None

    def source(self, progress: Progress, name: str = "") -> Source:
        """The source, opened and checked; after training, `name` is the run directory."""
        found = ready_source(name or self.name, self.options, self.how, self.recipes, self.settings, progress)
        refuse_unmeasurable(self.budgets, metric_of(found.spec, found.split.evaluation), found.spec)
        return dataclasses.replace(found, warnings=(*found.warnings, *self.left_out))

    def say_widths(self, source: Source, progress: Progress) -> None:
        """Report how many samples the criteria on accuracy need, and what these will give."""
        metric = metric_of(source.spec, source.split.evaluation)
        say_widths(self.budgets, self.how.max_drop, len(source.split.evaluation), progress, metric)


@dataclass(frozen=True)
class BuildOrder:
    """What to make of a source, the targets to measure it on, and where to write.

    `source` is None if its model must be trained first. `stages` are wall times of finished stages, in seconds.
    """

    making: Making
    source: Source | None
    targets: tuple[Target, ...]
    rounds: Rounds
    out: Path
    force: bool = False
    stages: Mapping[str, float] = field(default_factory=dict)
    command: str = "build"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        recipes = self.making.recipes
        if self.source is None:
            first = (f"train '{self.making.name}'", *converting_steps(recipes))
        else:
            first = writing_steps(self.source, recipes, self.making.how)
        launches = f"{self.rounds.launches} fresh processes"
        return (
            *first,
            *(f"measure every artifact on {one}: {launches}" for one in self.targets),
            *(f"judge '{one.text}'" for one in self.making.budgets),
            f"write '{self.out}'",
        )

    def run(self, progress: Progress) -> Report:
        """Train if needed, export, measure and judge, and write the bundle and its reports."""
        making, stages = self.making, dict(self.stages)
        with new_folder(self.out, force=self.force, is_marked=True) as staging:
            source = self.source or self._trained(staging / RUN, stages, progress)
            with _timed("export", stages, progress):
                bundle = staging / BUNDLE
                written = write_bundle(source, making.recipes, bundle, making.settings, progress, making.how)
            with _timed("profile", stages, progress):
                found = written.found
                extras, where = extras_for(making.budgets), self.targets
                profiled = _measured(found, written.parity, where, self.rounds, progress, extras, exported=True)
            findings = written.findings(self.out / BUNDLE, profiled)
            report = _judged(findings, self.targets, making.budgets, making.settings, stages)
            report = msgspec.structs.replace(explained(report, found), origin=making.origin)
            report = with_pictures(report, found, progress)
            _write_reports(report, staging)
        return report

    def _trained(self, run: Path, stages: dict[str, float], progress: Progress) -> Source:
        making = self.making
        with _timed("train", stages, progress):
            train(making.name, out=run, data=making.options.data, settings=making.settings, progress=progress)
        with _timed("load", stages, progress):
            source = making.source(progress, str(run))
        making.say_widths(source, progress)
        return source


@dataclass(frozen=True)
class ResumeOrder:
    """An earlier build, whose bundle is opened and complete: only what its report misses is measured.

    `targets` and `budgets` are those of this command; `out` contains the bundle and the reports.
    """

    found: Opened
    earlier: Report
    targets: tuple[Target, ...]
    budgets: tuple[Budget, ...]
    rounds: Rounds
    settings: Settings
    out: Path
    command: str = "build"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        return (
            f"measure what '{self.out / REPORT_JSON}' misses on {', '.join(map(str, self.targets))}",
            *(f"judge '{one.text}'" for one in self.budgets),
            f"write '{self.out / REPORT_JSON}' and '{self.out / REPORT_HTML}'",
        )

    def run(self, progress: Progress) -> Report:
        """Measure, judge, and replace the reports; the bundle stays as it is."""
        stages, found, earlier = dict(self.earlier.stages), self.found, self.earlier
        checked = _checked_here(earlier)
        spent = stages.get("profile", 0.0)
        with _timed("profile", stages, progress):
            extras = extras_for(self.budgets)
            profiled = _measured(found, checked, self.targets, self.rounds, progress, extras, kept=kept_of(earlier))
        stages["profile"] = round(spent + stages["profile"], 3)
        findings = Findings(
            earlier.spec,
            earlier.bundle,
            earlier.artifacts,
            checked,
            earlier.accuracy,
            profiled,
            earlier.split,
            earlier.training,
            earlier.warnings,
            earlier.failures,
        )
        report = explained(_judged(findings, self.targets, self.budgets, self.settings, stages), found)
        report = msgspec.structs.replace(report, origin=earlier.origin)
        report = with_pictures(report, found, progress)
        _write_reports(report, self.out)
        return report


@contextmanager
def build_order(
    source: str,
    *,
    out: str | Path,
    target: str | Sequence[str] = "local",
    to: str | Sequence[str] = (),
    budget: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    train_first: bool = False,
    launches: int | None = None,
    time_limit_s: float | None = None,
    force: bool = False,
    progress: Progress = Silent(),
) -> Iterator[BuildOrder]:
    """Train if needed, export, validate, evaluate, profile and judge `source`.

    Writes `OUT/bundle`, `OUT/report.json` and `OUT/report.html` (and `OUT/run` after training), all or none.

    Args:
        source: Reference model, run directory, or `file.py:factory` (its code is executed).
        target: Targets as text, see `Target.parse`.
        to: Recipe names or aliases; by default those of `DEFAULT_RECIPES` that can be made here.
        budget: Limits such as `latency.p90 <= 8 ms`.
        how: How artifacts are made, e.g. the largest drop.
        train_first: Train a reference model even if it has weights.

    Returns:
        The report; `report.verdict` is the verdict, `report.outcomes` name the chosen artifact of each target.

    Raises:
        UserError, EnvironmentFault, ConversionFailed, Unreadable: As their messages say.
    """
    names, left_out = (to, ()) if to else makeable_recipes(source)
    recipes, targets = parse_recipes(names), named_targets(target)
    budgets = parse_budgets(budget, targets, recipes)
    refuse_existing(Path(out), force=force)
    _refuse_useless(targets, recipes)
    rounds = rounds_of(settings, launches, time_limit_s)
    origin = MadeFrom(source, options, how).origin()
    making, stages = Making(source, options, how, recipes, budgets, settings, left_out, origin), dict[str, float]()
    opened = None
    if not _must_train(source, options, train_first):
        with _timed("load", stages, progress):
            opened = making.source(progress)
        making.say_widths(opened, progress)
    yield BuildOrder(making, opened, targets, rounds, Path(out), force, stages)


@contextmanager
def resume_build_order(
    out: str | Path,
    *,
    source: str = "",
    target: str | Sequence[str] = "local",
    to: str | Sequence[str] = (),
    budget: str | Sequence[str] = (),
    options: SourceOptions = SourceOptions(),
    how: ExportOptions = ExportOptions(),
    settings: Settings = Settings(),
    launches: int | None = None,
    time_limit_s: float | None = None,
    progress: Progress = Silent(),
) -> Iterator[ResumeOrder]:
    """Complete an earlier build: nothing is trained or converted again, and only what its report misses is measured.

    Args:
        out: What `build` wrote.
        source: What it was made from; as in the build if empty.
        to: Recipe names or aliases that it must have made.
        options: As in `build`; what is not given is as in the build, and so with `how`.

    Raises:
        UserError: There is no build, or one without a requested recipe; or its files, or what it was made from, have
            changed since then.
        Unreadable: Its report or bundle is damaged.
    """
    out, targets, rounds = Path(out), named_targets(target), rounds_of(settings, launches, time_limit_s)
    if not (out / REPORT_JSON).is_file():
        raise UserError(f"'{out}' contains no build to resume.", hint="Omit --resume.")
    earlier = read_report(out / REPORT_JSON)
    if earlier.origin is not None:  # reports of earlier versions have none
        now = MadeFrom(source or earlier.origin.source, options, how).origin(earlier.origin)
        refuse_changed(earlier.origin, now, out)
    made = [*(one.recipe for one in earlier.artifacts), *(one.recipe for one in earlier.failures)]
    for recipe in parse_recipes(to) if to else ():
        if not any(matches(recipe.name, name) for name in made):
            raise UserError(f"The build in '{out}' did not make '{recipe.name}'.", hint="Omit --resume.")
    with opened(out / BUNDLE, progress=progress) as found:
        recipes = [Recipe.parse(one.recipe) for one in found.artifacts]
        budgets = parse_budgets(budget, targets, recipes)
        refuse_unmeasurable(budgets, metric_of(found.spec, found.samples), found.spec)
        refuse_other_files(earlier, found.artifacts, out / REPORT_JSON)
        if extras_for(budgets).end_to_end is not None:
            refuse_other_calls(earlier, out / REPORT_JSON)
        _refuse_useless(targets, recipes)
        yield ResumeOrder(found, earlier, targets, budgets, rounds, settings, out)


build, resume_build = door(build_order), door(resume_build_order)


def _measured(
    found: Opened,
    checked: Sequence[ParityCheck],
    targets: Sequence[Target],
    rounds: Rounds,
    progress: Progress,
    extras: Extras,
    *,
    exported: bool = False,
    kept: Profiled | None = None,
) -> Profiled:
    """What keeps parity, on the targets that open any of it: the latency of a wrong model is worth nothing."""
    failed = {check.artifact for check in checked if check.verdict == "fail"}
    chosen = [one for one in found.artifacts if one.recipe not in failed]
    able = [target for target in targets if any(opens(target, one) for one in chosen)]
    if not able:
        return kept or Profiled()
    profiled = measure(found, able, chosen, rounds, progress, extras, exported=exported, kept=kept, is_partial=True)
    if profiled.is_interrupted:
        raise KeyboardInterrupt
    return profiled


def _judged(
    found: Findings,
    targets: Sequence[Target],
    budgets: Sequence[Budget],
    settings: Settings,
    stages: Mapping[str, float],
) -> Report:
    checks = judge_budgets(budgets, targets, found)
    ends = outcomes(budgets, checks, targets, found)
    verdict = overall(ends, found.parity)
    return found.report("build", settings, verdict=verdict, outcomes=ends, budgets=checks, stages=stages)


def _checked_here(report: Report) -> tuple[ParityCheck, ...]:
    """The parity checks of a build that were made on this machine, not on its targets."""
    targets = {one.target for one in report.outcomes}
    return tuple(one for one in report.parity if one.where not in targets)


def _refuse_useless(targets: Sequence[Target], recipes: Sequence[Recipe]) -> None:
    """Raise for a target that is not there, or that opens nothing of what is made."""
    for one in targets:
        devices.open_device(one.device).close()
        if not any(opens(one, recipe) for recipe in recipes):
            names = ", ".join(recipe.name for recipe in recipes)
            raise UserError(f"Target '{one}' cannot open any of {names}.", hint=f"--target {one.device}")


def _must_train(source: str, options: SourceOptions, train_first: bool) -> bool:
    """True when a training comes before all else; what would make it pointless is refused here, not after it."""
    if not is_reference(source):
        if train_first:
            raise UserError(
                f"'{source}' is not a reference model, so edgekit cannot train it.", hint="edgekit list models"
            )
        return False
    if train_first and options.weights:
        raise UserError("--train and --weights cannot be combined.", hint="Omit one of them.")
    if options.weights or (shipped_weights(source) and not train_first):
        return False
    refuse_unused(source, options)
    return True


@contextmanager
def _timed(title: str, stages: dict[str, float], progress: Progress) -> Iterator[None]:
    """A stage whose wall time is kept in `stages`."""
    start = time.perf_counter()
    with progress.stage(title):
        yield
    stages[title] = round(time.perf_counter() - start, 3)


def _write_reports(report: Report, folder: Path) -> None:
    from edgekit.report.registry import write_report

    documents.write(folder / REPORT_JSON, report)
    write_report(report, folder / REPORT_HTML)
