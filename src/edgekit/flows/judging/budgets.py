"""Judging: budgets against figures, and the artifact that is chosen on each target."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import msgspec

from edgekit.core.budget import CALLS, METRICS, Budget
from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError, unknown
from edgekit.core.measurement import WHOLE, Measurement
from edgekit.core.recipe import Recipe, matches
from edgekit.core.reports.report import (
    Accuracy,
    BudgetCheck,
    Estimate,
    Latency,
    Missing,
    Outcome,
    ParityCheck,
    cell,
    parity_verdict,
)
from edgekit.core.spec.metric import metric_traits
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, best, worst
from edgekit.flows.calls.ability import has_sample_files, is_timed_on, several_calls
from edgekit.flows.judging.choice import chosen
from edgekit.flows.judging.needed_samples import what_decides
from edgekit.flows.measuring.measure import Extras
from edgekit.flows.measuring.summary import of_real_time, quantile_estimate, token_rate
from edgekit.flows.opening.artifacts import opens
from edgekit.runtime.prediction import feed_of

_MEDIAN: Final = 0.5


class Figures(Protocol):
    """All figures that budgets may be judged on: a Report, or Findings before they are one."""

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The artifacts that are judged."""

    @property
    def parity(self) -> tuple[ParityCheck, ...]:
        """Their parity, here and on every target."""

    @property
    def accuracy(self) -> tuple[Accuracy, ...]:
        """Their quality; none where it was not evaluated."""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Raw values by artifact and target."""

    @property
    def latency(self) -> tuple[Latency, ...]:
        """The figures of those values."""

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What could not be measured on its target."""


def parse_budgets(
    texts: str | Sequence[str], targets: Sequence[Target], recipes: Sequence[Recipe]
) -> tuple[Budget, ...]:
    """Budgets from `a, b` or a list of such texts.

    Raises:
        UserError: A text that is not a budget, or a scope that covers none of `targets` or `recipes`.
    """
    parts = [texts] if isinstance(texts, str) else texts
    budgets = tuple(Budget.parse(part) for text in parts for part in text.split(",") if part.strip())
    for budget in budgets:
        _check_scope(budget, targets, recipes)
    return budgets


def extras_for(budgets: Iterable[Budget], begins_with: str = "") -> Extras:
    """What has to be measured besides latency, so that these can be judged; calls begin with a file, or a sample."""
    return Extras(end_to_end=begins_with if any(budget.metric == WHOLE for budget in budgets) else None)


def refuse_unmeasurable(
    budgets: Sequence[Budget], metric: str, spec: ModelSpec | None = None, begins_with: str = ""
) -> None:
    """Raise for a budget that cannot be measured here.

    Args:
        metric: That of the model on its labelled samples; empty if they have no labels.
        spec: The model, if it is known yet.
        begins_with: The file with which calls from end to end begin; by default it is made from a sample.
    """
    for budget in budgets:
        if budget.metric == WHOLE and spec is not None:
            _refuse_inference_alone(budget, spec, begins_with)
        if budget.quality and not metric:
            raise UserError(
                f"Budget '{budget.text}' needs samples with labels, and these have none.",
                hint="numpy.savez(FILE, ..., label=class_indices), then --samples FILE",
            )
        # Budgets on accuracy may be those of a whole configuration, where other models have it.
        if budget.quality not in ("", "accuracy", metric):
            sign = ">=" if metric_traits(metric).higher_is_better else "<="
            raise UserError(
                f"Budget '{budget.text}' limits {budget.quality}, but the metric of this model is {metric}.",
                hint=f'--budget "{metric} {sign} LIMIT"' if metric in METRICS else "",
            )


def _refuse_inference_alone(budget: Budget, spec: ModelSpec, begins_with: str) -> None:
    if reason := several_calls(spec):
        raise UserError(f"Budget '{budget.text}': {reason}", hint='--budget "latency.p90 <= 8 ms"')
    if begins_with:
        feed_of(begins_with, spec)
    elif not has_sample_files(spec):
        raise UserError(
            f"Budget '{budget.text}' needs a file to begin with, and samples of '{spec.name}' cannot become one.",
            hint='end_to_end = "FILE" in the [[check.models]] of edgekit.toml',
        )


def judge_budgets(budgets: Sequence[Budget], targets: Sequence[Target], figures: Figures) -> tuple[BudgetCheck, ...]:
    """Each budget on each artifact and target it applies to."""
    missing = {(one.artifact, one.target) for one in figures.missing}
    return tuple(
        _check(budget, artifact, str(target), figures)
        for target in targets
        for artifact in figures.artifacts
        if opens(target, artifact) and (artifact.recipe, str(target)) not in missing
        for budget in budgets
        if budget.applies_to(artifact.recipe, str(target))
    )


def outcomes(
    budgets: Sequence[Budget], checks: Sequence[BudgetCheck], targets: Sequence[Target], figures: Figures
) -> tuple[Outcome, ...]:
    """The verdict and the chosen artifact of every target."""
    scoped = {budget.text for budget in budgets if budget.artifact}
    return tuple(_outcome(target, scoped, checks, figures) for target in targets)


def overall(found: Sequence[Outcome], parity: Sequence[ParityCheck]) -> Verdict:
    """A parity failure always fails; else the gravest outcome."""
    return worst([parity_verdict(parity), *(outcome.verdict for outcome in found)])


def estimate(budget: Budget, artifact: str, target: str, figures: Figures) -> Estimate:
    """The figure that a budget limits; without a value but with the reason if it is not known."""
    if budget.metric == "size":
        size = next(one.size_bytes for one in figures.artifacts if one.recipe == artifact)
        return Estimate(size, size, size, 1)
    if budget.metric in CALLS:
        return _timed(budget, cell(figures.measurements, artifact, target))
    if budget.metric == "sqnr":
        return _sqnr(artifact, figures)
    if budget.quality:
        found = next((one for one in figures.accuracy if one.artifact == artifact), None)
        if found is None or not budget.limits_quality(found.metric):
            missing = f"{budget.quality} was not measured"
            return Estimate(None, reason=missing if found is None else f"the metric of this model is {found.metric}")
        return found.drop if budget.is_on_drop else found.quality
    row = next(iter(cell(figures.latency, artifact, target)), None)
    known = {} if row is None else {"load": row.load, "first_run": row.first_run, "memory": row.memory}
    return known.get(budget.metric, Estimate(None, reason="not measured on this target"))


def _timed(budget: Budget, measured: Sequence[Measurement]) -> Estimate:
    """A figure that follows from the latency of a call: of the first size, or of the phase of a decoder."""
    phase = METRICS[budget.metric].phase
    found = next((one for one in measured if phase in ("", one.phase)), None)
    if found is None:
        reason = f"the model has no {phase} that was measured" if measured else "not measured on this target"
        return Estimate(None, reason=reason)
    if found.emulated:
        return Estimate(None, reason="emulated: not the latency of a device")
    if budget.metric == WHOLE:
        whole = found.part(WHOLE)
        none = Estimate(None, reason="calls from end to end were not measured")
        return quantile_estimate(whole, budget.quantile or _MEDIAN) if whole.launches else none
    latency = quantile_estimate(found, budget.quantile or _MEDIAN)
    if budget.metric == "realtime":
        return of_real_time(latency, found.sound_s)
    return token_rate(latency, found.tokens) if budget.metric.endswith("_rate") else latency


def _sqnr(artifact: str, figures: Figures) -> Estimate:
    checks = [check for check in figures.parity if check.artifact == artifact]
    known = [check.sqnr_db for check in checks if check.sqnr_db is not None]
    if not known and any(check.kind == "difference" and check.value == 0.0 for check in checks):
        known = [math.inf]  # the outputs of the reference, to the bit
    return Estimate(min(known), min(known), min(known), len(known)) if known else Estimate(None, reason="no reference")


def _check(budget: Budget, artifact: Artifact, target: str, figures: Figures) -> BudgetCheck:
    figure = estimate(budget, artifact.recipe, target, figures)
    # A figure that has bounds but no value, as of a drift, may be as far as infinity on the other side.
    low = next((one for one in (figure.low, figure.value) if one is not None), -math.inf)
    high = next((one for one in (figure.high, figure.value) if one is not None), math.inf)
    verdict = budget.judge(low, high)
    excess = None if figure.value is None else figure.value - budget.limit
    if verdict is Verdict.INCONCLUSIVE and budget.quality:
        # Where an alarm is confirmed, latency alone is measured again.
        found = next((one for one in figures.accuracy if one.artifact == artifact.recipe), None)
        reason = figure.reason or ("" if found is None else what_decides(budget, found))
        figure = msgspec.structs.replace(figure, reason=reason)
    return BudgetCheck(
        budget.text, artifact.recipe, target, budget.metric, budget.unit, budget.limit, figure, verdict, excess
    )


def _outcome(where: Target, scoped: set[str], checks: Sequence[BudgetCheck], figures: Figures) -> Outcome:
    target = str(where)
    here = [check for check in checks if check.target == target]
    must = worst(check.verdict for check in here if check.budget in scoped)
    open_ = [check for check in here if check.budget not in scoped]
    missing = [one for one in figures.missing if one.target == target]
    absent = {one.artifact for one in missing}
    sound = [one.recipe for one in figures.artifacts if opens(where, one) and _keeps_parity(one.recipe, figures)]
    candidates = [name for name in sound if name not in absent]
    if sound and not candidates:
        return Outcome(target, Verdict.INCOMPLETE, None, missing[0].reason)
    if not candidates:
        return Outcome(target, Verdict.FAIL, None, "no artifact keeps parity")
    of_each = {name: worst(check.verdict for check in open_ if check.artifact == name) for name in candidates}
    passing = [name for name, verdict in of_each.items() if verdict is Verdict.PASS]
    short = [Verdict.INCOMPLETE] if any(one.is_open for one in missing) else []
    verdict = worst([must, best(of_each.values()), *short])
    if not passing:
        return Outcome(target, verdict, None, _nearest_miss(open_, candidates))
    unmet = dict.fromkeys(one.budget for one in here if one.budget in scoped and one.verdict is not Verdict.PASS)
    missed = f"but some scoped budgets are not met: {', '.join(unmet)}" if unmet else ""
    name, why = chosen(passing, target, figures)
    return Outcome(target, verdict, name, "; ".join(part for part in (why, missed) if part))


def _keeps_parity(artifact: str, figures: Figures) -> bool:
    return all(check.verdict is not Verdict.FAIL for check in figures.parity if check.artifact == artifact)


def _nearest_miss(checks: Sequence[BudgetCheck], candidates: Sequence[str]) -> str:
    """The candidate whose farthest missed budget is nearest, and that budget."""
    farthest: dict[str, tuple[float, str]] = {}
    for check in checks:
        if check.artifact in candidates and check.verdict is not Verdict.PASS:
            share = math.inf if check.excess is None else abs(check.excess) / (check.limit or 1.0)
            farthest[check.artifact] = max(farthest.get(check.artifact, (-1.0, "")), (share, check.budget))
    nearest = min(farthest, key=lambda name: farthest[name])
    return f"no artifact meets every budget; the closest is '{nearest}' on '{farthest[nearest][1]}'"


def _check_scope(budget: Budget, targets: Sequence[Target], recipes: Sequence[Recipe]) -> None:
    limited = [target for target in targets if budget.applies_to(budget.artifact, str(target))]
    away = next((target for target in limited if budget.metric == WHOLE and not is_timed_on(target)), None)
    if away is not None:
        raise UserError(
            f"Budget '{budget.text}' cannot be measured on '{away}': files are read and outputs decoded on this "
            "machine only.",
            hint=f'--budget "{budget.artifact}@local: {budget.text.rpartition(":")[2].strip()}"',
        )
    if budget.target and not any(budget.applies_to(budget.artifact, str(target)) for target in targets):
        known = [target.device for target in targets]
        raise unknown("target in a budget", budget.target, known, hint=f"--target {budget.target}")
    if not budget.artifact or not recipes:
        return
    related = [one for one in recipes if matches(budget.artifact, one.name) or matches(one.name, budget.artifact)]
    if not related:
        names = [recipe.name for recipe in recipes]
        raise unknown("artifact in a budget", budget.artifact, names, hint=f"--to {budget.artifact}")
    places = [target for target in targets if budget.applies_to(budget.artifact, str(target))]
    if not any(opens(target, recipe) for target in places for recipe in related):
        raise UserError(
            f"None of the targets of budget '{budget.text}' can run that artifact.",
            hint=f"--target {targets[0].device}",
        )
