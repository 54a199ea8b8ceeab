"""The results of one checked model: parity and budgets of the artifacts that are judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgekit.core.budget import METRICS
from edgekit.core.recipe import matches
from edgekit.core.reports.check import Checked
from edgekit.core.reports.report import BudgetCheck, Report, cell, parity_verdict
from edgekit.core.target import Target
from edgekit.core.units import format_figure, format_value
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.judging.alarms import p_value
from edgekit.flows.judging.gate import Gated
from edgekit.report.rows import measured_at


def judged_artifacts(gated: Gated, report: Report, target: Target) -> tuple[str, ...]:
    """The artifacts to judge: those named in the file, otherwise the chosen one, otherwise the closest ones."""
    names = [one.recipe for one in report.artifacts]
    if gated.model.artifact:
        return tuple(name for name in names if any(matches(asked, name) for asked in gated.model.artifact))
    outcome = next(one for one in report.outcomes if one.target == str(target))
    if outcome.chosen:
        return (outcome.chosen,)
    of_each = {name: worst(one.verdict for one in cell(report.budgets, name, target)) for name in names}
    return tuple(name for name in names if of_each[name] is outcome.verdict) or tuple(names)


def parity_results(gated: Gated, report: Report, target: Target, judged: Sequence[str]) -> Iterator[Checked]:
    """One result per artifact for all its parity checks. A wrong artifact always fails, even if it is not judged."""
    for artifact in dict.fromkeys(one.artifact for one in report.parity):
        found = [one for one in report.parity if one.artifact == artifact]
        verdict = parity_verdict(found)
        if artifact not in judged and verdict is not Verdict.FAIL:
            continue
        bad = next((one for one in found if one.verdict is verdict), found[0])
        passed = sum(one.verdict is Verdict.PASS for one in found)
        message = f"{passed} of {passed} comparisons with PyTorch agree"
        if verdict is Verdict.FAIL:
            value, limit = (format_value(one, bad.unit) for one in (bad.value, bad.limit))
            message = f"output '{bad.output}' has {bad.kind} {value} (limit {limit}), {bad.case}"
        elif verdict is Verdict.INCONCLUSIVE:
            message = f"output '{bad.output}' was {bad.reason}"
        yield Checked(
            model=gated.model.called,
            artifact=artifact,
            target=str(target),
            kind="parity",
            check="parity",
            verdict=verdict,
            message=message,
        )


def device_results(gated: Gated, report: Report, target: Target) -> Iterator[Checked]:
    """One result per artifact that another run could measure on the target, or for all if the target ran none."""
    ran_none = all(one.target != str(target) for one in report.measurements)
    for one in report.missing:
        if one.target == str(target) and (one.is_open or ran_none):
            yield Checked(
                model=gated.model.called,
                artifact=one.artifact,
                target=one.target,
                kind="device",
                check="measured",
                verdict=Verdict.INCOMPLETE,
                message=one.reason,
            )


def budget_results(gated: Gated, report: Report, target: Target, judged: Sequence[str]) -> Iterator[Checked]:
    """One result per budget and judged artifact."""
    for one in report.budgets:
        if one.artifact in judged and one.target == str(target):
            yield _budget_result(gated, report, one)


def _budget_result(gated: Gated, report: Report, one: BudgetCheck) -> Checked:
    return Checked(
        model=gated.model.called,
        artifact=one.artifact,
        target=one.target,
        kind="budget",
        check=one.budget,
        metric=one.metric,
        verdict=one.verdict,
        message=_message(one) + measured_at(report, one),
        unit=one.unit,
        estimate=one.estimate,
        p_value=p_value(one, lower_is_better=METRICS[one.metric].lower_is_better),
    )


def _message(one: BudgetCheck) -> str:
    """The figure, and why it is not known or not enough."""
    if one.estimate.value is None:
        return one.estimate.reason or figure_of(one)
    return "; ".join(part for part in (figure_of(one), one.estimate.reason) if part)


def figure_of(one: BudgetCheck) -> str:
    """The figure that a budget limits, with its interval, as text."""
    return format_figure(one.estimate.value, one.estimate.low, one.estimate.high, one.display_unit)
