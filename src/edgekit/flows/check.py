"""`edgekit check`, the gate of CI: budgets, a baseline measured in the same job, and the nights before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.budget import METRICS
from edgekit.core.errors import UserError
from edgekit.core.recipe import RECIPES, Recipe, matches
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.report import BudgetCheck, Estimate, Report, is_report
from edgekit.core.statistics.nightly import RERUNS, judge
from edgekit.core.system.check_settings import CheckedModel, CheckFile, completed, read_check
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target, parse_targets
from edgekit.core.units import format_figure, format_value
from edgekit.core.verdict import Verdict, worst
from edgekit.flows import history
from edgekit.flows.judging.alarms import MEASURED, controlled, overall, p_value, patient
from edgekit.flows.judging.baseline import against_baseline
from edgekit.flows.judging.budgets import Evidence, judge_budgets, outcomes, parse_budgets, refuse_unmeasurable
from edgekit.flows.judging.gate import Gate, Order, confirmed
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opened
from edgekit.flows.opening.commits import make_models, plan_models
from edgekit.flows.opening.versions import versions
from edgekit.flows.order import Plan
from edgekit.flows.validate import validate

DEFAULT_CONFIG: Final = "edgekit.toml"
_NEEDS_ACCURACY: Final = ("accuracy", "accuracy.drop", "sqnr")


def check(
    config: str | Path = DEFAULT_CONFIG,
    *,
    record: bool = True,
    changes: dict[str, object] | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> CheckReport:
    """Measure and judge everything that the `[check]` table of `config` names.

    Args:
        config: An `edgekit.toml`, or a `pyproject.toml`.
        record: Write the run into the history beside `config`.
        changes: Values that take the place of those in the table, such as `{"launches": 12}`.

    Returns:
        Every result; `verdict` follows the policy for inconclusive ones.

    Raises:
        UserError, EnvironmentFault, Unreadable: As their messages say; nothing is recorded then.
    """
    config = Path(config)
    file = _file(config, changes)
    make_models(config, file, settings, progress)
    orders = [_order(config.parent, file, model) for model in file.models]
    path = history.history_file(config, file)
    gate = Gate(file, settings, progress, history.read_history(path))
    for order in orders:
        with progress.stage(f"check {order.model.called}"):
            _check_model(gate, order)
    gate.results = list(controlled(gate.results, file.alpha))
    _confirm_budgets(gate, orders)
    results = patient(gate.results, file, partial(history.in_a_row, gate.lines))
    report = CheckReport(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        config=str(config),
        commit=history.commit_of(config.parent),
        policy=file.inconclusive,
        results=results,
        verdict=overall(results, file),
        reports=tuple(gate.reports),
        comparisons=tuple(gate.comparisons),
    )
    if record:
        history.append(path, _recorded(report, gate.values))
    return report


def plan_check(config: str | Path = DEFAULT_CONFIG, *, changes: dict[str, object] | None = None) -> Plan:
    """What `check` with the same arguments would do."""
    file = _file(Path(config), changes)
    steps = plan_models(file)
    for model in file.models:
        steps += _steps(Path(config).parent, file, model)
    if file.nightly:
        steps.append("judge every median against the runs before")
    return Plan("check", (*steps, f"add the run to '{history.history_file(Path(config), file)}'"))


def _steps(folder: Path, file: CheckFile, model: CheckedModel) -> Iterator[str]:
    if model.source and not (folder / model.path).exists():
        yield f"measure and judge '{model.called}'"
        return
    order = _order(folder, file, model)
    for target in order.targets:
        yield f"measure '{order.model.called}' on {target}: {file.launches} fresh processes each"
        yield from (f"judge '{budget.text}'" for budget in order.budgets)
        if order.baseline is not None:
            how = "compare with" if is_report(order.baseline) else "measure in turn with"
            yield f"{how} '{order.against}' on {target}"


def _file(config: Path, changes: dict[str, object] | None) -> CheckFile:
    file = read_check(config)
    return completed(msgspec.structs.replace(file, **changes) if changes else file)


def _order(folder: Path, file: CheckFile, model: CheckedModel) -> Order:
    targets = parse_targets(model.target or file.target)
    for target in targets:
        devices.open_device(target.device).close()
    path = folder / model.path
    with opened(path) as found:
        chosen = found.chosen(model.artifact)
        known = [Recipe.parse(one.recipe) for one in chosen if one.recipe in RECIPES]
        budgets = parse_budgets([*file.budgets, *model.budgets], targets, known)
        refuse_unmeasurable(budgets, labelled=found.samples.is_labelled)
    baseline = folder / model.baseline if model.baseline else None
    if baseline is not None and not baseline.exists():
        raise UserError(
            f"There is no baseline '{baseline}' of '{model.called}'.",
            hint=f'edgekit history accept --model {model.called} --why "first baseline"',
        )
    against = "the baseline commit" if file.baseline_commit and model.source else model.baseline
    return Order(model, path, baseline, targets, budgets, against)


def _check_model(gate: Gate, order: Order) -> None:
    with opened(order.path) as found:
        report = _measured(gate, order, found)
        gate.reports.append(report)
        for target in order.targets:
            judged = _judged(order, report, target)
            gate.results += _parity(order, report, target, judged)
            gate.results += _budgets(order, report, target, judged)
            for artifact in judged:
                _record_value(gate, order, report, target, artifact)
                gate.results += against_baseline(gate, order, found, report, target, artifact)
                gate.results += _against_history(gate, order, found, target, artifact)


def _measured(gate: Gate, order: Order, found: Opened) -> Report:
    """What was measured on all targets, with accuracy where a budget asks for it, judged against the budgets."""
    artifacts = found.chosen(order.model.artifact)
    profiled = gate.profile(order, found, artifacts)
    known = None
    if any(budget.metric in _NEEDS_ACCURACY for budget in order.budgets):
        known = validate(order.path, artifact=order.model.artifact, settings=gate.settings)
    evidence = Evidence(
        artifacts,
        (*profiled.parity, *(known.parity if known else ())),
        known.accuracy if known else (),
        tuple(profiled.measurements),
        tuple(profiled.latency),
    )
    checks = judge_budgets(order.budgets, order.targets, evidence)
    judged = outcomes(order.budgets, checks, order.targets, evidence)
    return Report(
        command="check",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=found.spec,
        bundle=str(order.path),
        artifacts=artifacts,
        parity=evidence.parity,
        accuracy=evidence.accuracy,
        measurements=evidence.measurements,
        latency=evidence.latency,
        budgets=checks,
        outcomes=judged,
        facts=profiled.facts,
        facts_after=profiled.facts_after,
        tools=versions(),
        warnings=tuple(profiled.warnings),
        verdict=worst([*(one.verdict for one in judged), *(one.verdict for one in evidence.parity)]),
        seed=gate.settings.seed,
    )


def _judged(order: Order, report: Report, target: Target) -> tuple[str, ...]:
    """The artifacts that are judged: those the file names, else the chosen one, else those that came nearest."""
    names = [one.recipe for one in report.artifacts]
    if order.model.artifact:
        return tuple(name for name in names if any(matches(asked, name) for asked in order.model.artifact))
    outcome = next(one for one in report.outcomes if one.target == str(target))
    if outcome.chosen:
        return (outcome.chosen,)
    of_each = {
        name: worst(one.verdict for one in report.budgets if (one.artifact, one.target) == (name, str(target)))
        for name in names
    }
    return tuple(name for name in names if of_each[name] is outcome.verdict) or tuple(names)


def _parity(order: Order, report: Report, target: Target, judged: Sequence[str]) -> Iterator[Checked]:
    """One result an artifact: all its parity checks together. A wrong artifact fails whether it is judged or not."""
    for artifact in dict.fromkeys(one.artifact for one in report.parity):
        found = [one for one in report.parity if one.artifact == artifact]
        verdict = worst(one.verdict for one in found)
        if artifact not in judged and verdict is not Verdict.FAIL:
            continue
        bad = next((one for one in found if one.verdict is verdict), found[0])
        message = f"{len(found)} of {len(found)} comparisons with PyTorch agree"
        if verdict is not Verdict.PASS:
            value, limit = (format_value(one, bad.unit) for one in (bad.value, bad.limit))
            message = f"output '{bad.output}' has {bad.kind} {value} (limit {limit}), {bad.case}"
        yield Checked(
            model=order.model.called,
            artifact=artifact,
            target=str(target),
            kind="parity",
            check="parity",
            verdict=verdict,
            message=message,
        )


def _budgets(order: Order, report: Report, target: Target, judged: Sequence[str]) -> Iterator[Checked]:
    for one in report.budgets:
        if one.artifact in judged and one.target == str(target):
            yield _budget_result(order, one)


def _budget_result(order: Order, one: BudgetCheck) -> Checked:
    return Checked(
        model=order.model.called,
        artifact=one.artifact,
        target=one.target,
        kind="budget",
        check=one.budget,
        verdict=one.verdict,
        message=one.estimate.reason or _told(one),
        unit=one.unit,
        estimate=one.estimate,
        p_value=p_value(one, lower_is_better=METRICS[one.metric].lower_is_better),
    )


def _told(one: BudgetCheck) -> str:
    return format_figure(one.estimate.value, one.estimate.low, one.estimate.high, one.display_unit)


def _confirm_budgets(gate: Gate, orders: Sequence[Order]) -> None:
    """Measure again every model whose measured budget fails; only what fails twice stays failed."""
    for order in orders:
        alarms = [one for one in gate.results if _is_measured_alarm(one, order)]
        if not alarms:
            continue
        with gate.progress.stage(f"confirm {order.model.called}"), opened(order.path) as found:
            names = {one.artifact for one in alarms}
            artifacts = [one for one in found.chosen(order.model.artifact) if one.recipe in names]
            again = gate.profile(order, found, artifacts, again=1)
        evidence = Evidence(tuple(artifacts), (), (), tuple(again.measurements), tuple(again.latency))
        second = {
            (one.artifact, one.target, one.budget): one for one in judge_budgets(order.budgets, order.targets, evidence)
        }
        for alarm in alarms:
            fresh = second[alarm.artifact, alarm.target, alarm.check]
            gate.results[gate.results.index(alarm)] = confirmed(alarm, fresh.verdict, _told(fresh))


def _is_measured_alarm(one: Checked, order: Order) -> bool:
    metric = one.check.rpartition(":")[2].strip().partition(" ")[0]
    measured = metric.partition(".")[0] in MEASURED
    return one.kind == "budget" and one.verdict is Verdict.FAIL and one.model == order.model.called and measured


def _record_value(gate: Gate, order: Order, report: Report, target: Target, artifact: str) -> None:
    row = next((one for one in report.latency if (one.artifact, one.target) == (artifact, str(target))), None)
    median = row.quantiles.get("p50") if row else None
    if median is not None and median.value is not None:
        gate.values[f"{order.model.called}/{artifact}@{target}"] = median.value


def _against_history(gate: Gate, order: Order, found: Opened, target: Target, artifact: str) -> Iterator[Checked]:
    series = f"{order.model.called}/{artifact}@{target}"
    if not gate.file.nightly or series not in gate.values:
        return
    earlier = [point.value for point in history.points(gate.lines, series)]
    candidates = [gate.values[series]]
    judged = judge(earlier, candidates)
    while judged.rerun and len(candidates) <= RERUNS:
        again = gate.profile(order, found, found.chosen((artifact,)), again=len(candidates))
        fresh = [row.quantiles["p50"].value for row in again.latency if row.target == str(target)]
        candidates += [value for value in fresh if value is not None] or candidates[-1:]
        judged = judge(earlier, candidates)
    verdict = {"pass": Verdict.PASS, "regressed": Verdict.FAIL}.get(judged.outcome, Verdict.INCONCLUSIVE)
    yield Checked(
        model=order.model.called,
        artifact=artifact,
        target=str(target),
        kind="history",
        check="not slower than the runs before",
        verdict=verdict,
        message=judged.reason,
        unit="s",
        estimate=Estimate(candidates[0], n=len(candidates)),
    )


def _recorded(report: CheckReport, values: dict[str, float]) -> history.Run:
    # A check that failed only because it was undecided for too long is still undecided.
    undecided = [one.key for one in report.results if one.verdict is Verdict.INCONCLUSIVE or one.in_a_row]
    return history.Run(
        created=report.created,
        commit=report.commit,
        verdict=report.verdict,
        values=values,
        checks=tuple(one.key for one in report.results),
        inconclusive=tuple(undecided),
    )
