"""`edgekit check`, the gate in CI: budgets, a baseline measured in the same job, and the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.budget import Budget
from edgekit.core.errors import UserError
from edgekit.core.recipe import parse_recipes
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.history import Line, Run
from edgekit.core.reports.report import Report, parity_verdict
from edgekit.core.system.check_settings import CheckFile, completed, lines_of, read_check
from edgekit.core.system.documents import now
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.fleet.profiled import ITS_OWN, missing_of
from edgekit.flows.judging import history
from edgekit.flows.judging.alarms import MEASURED, controlled, overall, patient
from edgekit.flows.judging.baseline import against_baseline, needs_quality
from edgekit.flows.judging.budgets import judge_budgets, outcomes
from edgekit.flows.judging.gate import Gate, Gated, confirmed, is_measured, open_gated
from edgekit.flows.judging.nights import against_history, events_of, record_value
from edgekit.flows.judging.results import budget_results, device_results, figure_of, judged_artifacts, parity_results
from edgekit.flows.keeping.shared_lines import keep_lines, with_kept_lines
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.measuring.validation import Validated, validated
from edgekit.flows.opening.devices import named_targets
from edgekit.flows.opening.repository import commit_of, reproduction
from edgekit.flows.opening.trusted_packages import is_project_code, require_project_trust
from edgekit.flows.opening.versions import versions
from edgekit.flows.writing.commits import make_models, making_steps

DEFAULT_CONFIG: Final = "edgekit.toml"


@dataclass(frozen=True)
class CheckOrder:
    """A configuration and its models by name; those that are exported from sources first are not open yet."""

    config: Path
    file: CheckFile
    opened: Mapping[str, Gated]
    lines: tuple[Line, ...]
    record: bool
    settings: Settings
    warnings: tuple[str, ...] = ()
    command: str = "check"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        steps = making_steps(self.file)
        for model in self.file.models:
            gated = self.opened.get(model.called)
            steps += _steps(gated, self.file.launches) if gated else [f"measure and judge '{model.called}'"]
        steps += ["judge every median against earlier runs"] * self.file.nightly
        return (*steps, f"add the run to '{history.history_file(self.config, self.file)}'")

    def run(self, progress: Progress) -> CheckReport:
        """Make, measure and judge every model, and record the run."""
        gate = Gate(self.file, self.settings, progress, self.lines)
        make_models(self.config, self.file, self.settings, progress)
        with ExitStack() as stack:
            models = [
                self.opened.get(one.called) or open_gated(self.config.parent, self.file, one, stack, progress)
                for one in self.file.models
            ]
            for gated in models:
                with progress.stage(f"check {gated.model.called}"):
                    _check_model(gate, gated)
            gate.results = list(controlled(gate.results, self.file.alpha))
            for gated in models:
                _confirm_budgets(gate, gated)
        report = self._report(gate)
        if self.record:
            line = _recorded(report, gate)
            told = history.append(history.history_file(self.config, self.file), line)
            shared = keep_lines((*self.lines, line), self.config.parent, self.settings.history)
            report = msgspec.structs.replace(report, warnings=(*report.warnings, *filter(None, (told, shared))))
        return report

    def _report(self, gate: Gate) -> CheckReport:
        line = lines_of(self.config, self.file)
        results = tuple(
            msgspec.structs.replace(one, line=line(one.model, one.kind, one.check))
            for one in patient(gate.results, self.file, partial(history.in_a_row, gate.lines))
        )
        return CheckReport(
            created=now(),
            config=str(self.config),
            commit=commit_of(self.config.parent),
            policy=self.file.inconclusive,
            results=results,
            verdict=overall(results, self.file),
            reports=tuple(gate.reports),
            comparisons=tuple(gate.comparisons),
            events=tuple(events_of(gate, now())),
            warnings=tuple(dict.fromkeys([*self.warnings, *gate.warnings])),
            tools=versions(),
            reproduction=reproduction(self.config.parent),
        )


def _refuse_unreadable(config: Path, file: CheckFile) -> None:
    """Raise for budgets, targets and recipes that are not such, before anything is exported or measured."""
    problems = [*_unreadable("target", file.target, named_targets), *_unreadable("budgets", file.budgets, Budget.parse)]
    for place, model in enumerate(file.models):
        problems += _unreadable(f"models[{place}].target", model.target, named_targets)
        problems += _unreadable(f"models[{place}].budgets", model.budgets, Budget.parse)
        problems += _unreadable(f"models[{place}].to", model.to, parse_recipes)
    if problems:
        raise UserError(f"'{config}' [check]: {' '.join(problems)}", hint="docs/ci.md lists every key.")


def _unreadable(key: str, texts: Iterable[str], parse: Callable[[str], object]) -> Iterator[str]:
    """Why a part of the comma-separated texts cannot be parsed, a sentence for each."""
    for part in (part.strip() for text in texts for part in text.split(",") if part.strip()):
        try:
            parse(part)
        except UserError as err:
            yield f"{key}: {err.message}"


@contextmanager
def check_order(
    config: str | Path = DEFAULT_CONFIG,
    *,
    record: bool = True,
    changes: Mapping[str, object] | None = None,
    trust: bool = False,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[CheckOrder]:
    """Measure and judge all models in the `[check]` table of `config`.

    Args:
        config: An `edgekit.toml`, or a `pyproject.toml`.
        record: Add the run to the history next to `config`, and to the store that `settings` name.
        changes: Values that override those in the table, e.g. `{"launches": 12}`.
        trust: Run the Python code that `config` names as sources; remembered for the project.

    Returns:
        Every result; `verdict` follows the policy for inconclusive ones.

    Raises:
        UserError, EnvironmentFault, Unreadable: As their messages say; then nothing is recorded.
    """
    config = Path(config)
    file = read_check(config)
    _refuse_unreadable(config, file)
    untold = _trusted(config, file, settings, is_given=trust)
    file = completed(msgspec.structs.replace(file, **changes) if changes else file)
    own = history.read_history(history.history_file(config, file))
    lines = with_kept_lines(own, config.parent, settings.history)
    with ExitStack() as stack:
        ready = [one for one in file.models if not one.source]
        found = {one.called: open_gated(config.parent, file, one, stack, progress) for one in ready}
        yield CheckOrder(config, file, found, lines, record, settings, untold)


def _trusted(config: Path, file: CheckFile, settings: Settings, *, is_given: bool) -> tuple[str, ...]:
    """Raise unless the user lets the sources of the configuration run; a warning if that cannot be remembered."""
    sources = [model.source for model in file.models if is_project_code(model.source)]
    if is_given and not sources:
        raise UserError(f"--trust does not apply: no source in '{config}' is Python code.", hint="Omit --trust.")
    return tuple(
        told for source in sources for told in require_project_trust(config.parent, source, settings, is_given=is_given)
    )


def _steps(gated: Gated, launches: int) -> Iterator[str]:
    for target in gated.targets:
        yield f"measure '{gated.model.called}' on {target}: {launches} fresh processes each"
        yield from (f"judge '{budget.text}'" for budget in gated.budgets)
        if gated.baseline is not None:
            how = "compare with" if isinstance(gated.baseline, Report) else "measure alternately with"
            yield f"{how} '{gated.against}' on {target}"


def _check_model(gate: Gate, gated: Gated) -> None:
    report = _measured(gate, gated)
    gate.reports.append(report)
    for target in gated.targets:
        judged = judged_artifacts(gated, report, target)
        gate.results += device_results(gated, report, target)
        gate.results += parity_results(gated, report, target, judged)
        gate.results += budget_results(gated, report, target, judged)
        for artifact in (one for one in judged if is_measured(report, one, target)):
            record_value(gate, gated, report, target, artifact)
            try:
                gate.results += against_baseline(gate, gated, report, target, artifact)
                gate.results += against_history(gate, gated, report, target, artifact)
            except ITS_OWN as err:
                lost = missing_of(artifact, str(target), err)
                gate.results += device_results(gated, msgspec.structs.replace(report, missing=(lost,)), target)


def _measured(gate: Gate, gated: Gated) -> Report:
    """What was measured on all targets, with accuracy where a budget asks for it, judged against the budgets."""
    profiled = gate.profile(gated, gated.artifacts)
    needs_accuracy = any(budget.quality or budget.metric == "sqnr" for budget in gated.budgets) or needs_quality(
        gate, gated
    )
    parity, accuracy, failed = (
        validated(gated.found, gated.artifacts, gate.progress) if needs_accuracy else Validated((), (), {})
    )
    known = {(one.artifact, one.target) for one in profiled.missing}
    profiled.missing += [
        missing_of(name, str(target), err)
        for name, err in failed.items()
        for target in gated.targets
        if (name, str(target)) not in known
    ]
    found = Findings(gated.found.spec, str(gated.found.path), gated.artifacts, parity, accuracy, profiled)
    checks = judge_budgets(gated.budgets, gated.targets, found)
    judged = outcomes(gated.budgets, checks, gated.targets, found)
    verdict = worst([*(one.verdict for one in judged), parity_verdict(found.parity)])
    return found.report("check", gate.settings, verdict=verdict, outcomes=judged, budgets=checks)


def _confirm_budgets(gate: Gate, gated: Gated) -> None:
    """Measure again where a measured budget of the model fails; only what fails twice stays failed."""
    alarms = [one for one in gate.results if one.model == gated.model.called and _is_measured_alarm(one)]
    if not alarms:
        return
    with gate.progress.stage(f"confirm {gated.model.called}"):
        artifacts = tuple(one for one in gated.artifacts if one.recipe in {alarm.artifact for alarm in alarms})
        again = gate.profile(gated, artifacts, again=1)
    found = Findings(gated.found.spec, str(gated.found.path), artifacts, profiled=again)
    second = {(one.artifact, one.target, one.budget): one for one in judge_budgets(gated.budgets, gated.targets, found)}
    for alarm in alarms:
        fresh = second.get((alarm.artifact, alarm.target, alarm.check))
        place = gate.results.index(alarm)
        if fresh is None:
            message = f"{alarm.message}, and the device could not be measured again"
            gate.results[place] = msgspec.structs.replace(alarm, verdict=Verdict.INCOMPLETE, message=message)
        else:
            gate.results[place] = confirmed(alarm, fresh.verdict, figure_of(fresh))


def _is_measured_alarm(one: Checked) -> bool:
    return one.kind == "budget" and one.verdict is Verdict.FAIL and one.metric in MEASURED


def _recorded(report: CheckReport, gate: Gate) -> Run:
    # A check that failed only because it was undecided for too long is still undecided.
    undecided = [one.key for one in report.results if one.verdict is Verdict.INCONCLUSIVE or one.in_a_row]
    failed = [one for one in report.results if one.verdict is Verdict.FAIL and not one.in_a_row]
    slower = [one.series for one in failed if one.kind == "baseline" and one.metric == "latency"]
    return Run(
        created=report.created,
        commit=report.commit,
        verdict=report.verdict,
        values=gate.values,
        checks=tuple(one.key for one in report.results if one.kind != "device"),
        inconclusive=tuple(undecided),
        sizes=gate.sizes,
        outside=tuple(dict.fromkeys([*gate.outside, *slower])),
    )
