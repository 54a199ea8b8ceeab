"""The figures of a report that the store has columns for, in SI units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgekit.core.bundle import Artifact
from edgekit.core.facts import Facts
from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.kept import Keepable
from edgekit.core.reports.report import Estimate, Latency, Report
from edgekit.core.reports.sweep import SweepReport
from edgekit.core.reports.tuning import Candidate, TuneReport
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict

Row = dict[str, Any]


@dataclass(frozen=True)
class Latencies:
    """Rows of measurements, and what is known of their model, its files and, by the target, the devices."""

    rows: tuple[Row, ...]
    spec: ModelSpec | None = None
    artifacts: tuple[Artifact, ...] = ()
    facts: Mapping[str, Facts] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptFigures:
    """What was given to a command, and the rows of measurements and of verdicts in its report."""

    subject: str
    latency: tuple[Latencies, ...]
    verdicts: tuple[Row, ...]


def figures_of(kept: Keepable) -> KeptFigures:
    """The figures of a report."""
    if isinstance(kept, Report):
        return KeptFigures(kept.bundle, (_measured(kept),), (*_budgets(kept), *_outcomes(kept)))
    if isinstance(kept, CheckReport):
        groups = tuple(_measured(one) for one in kept.reports)
        return KeptFigures(kept.config, groups, tuple(_checked(one) for one in kept.results))
    if isinstance(kept, ComparisonReport):
        sides = tuple(row for pair in kept.pairs for row in _sides(pair))
        return KeptFigures(f"{kept.a} {kept.b}", (Latencies(sides),), tuple(_compared(one, kept) for one in kept.pairs))
    if isinstance(kept, SweepReport):
        return KeptFigures(kept.file, tuple(_swept(kept)), tuple(_swept_verdicts(kept)))
    tuned = tuple(_candidate(one, kept) for one in kept.candidates if one.launches)
    return KeptFigures(kept.bundle, (Latencies(tuned),), _chosen(kept))


def _measured(report: Report) -> Latencies:
    medians: dict[tuple[object, ...], list[float]] = {}
    for one in report.measurements:
        if one.metric == "latency":
            values = [median(launch) for launch in one.launch_values if launch]
            medians.setdefault(_where(one.target, one.artifact, one.sizes), []).extend(values)
    rows = (_latency(one, medians.get(_where(one.target, one.artifact, one.sizes), [])) for one in report.latency)
    return Latencies(tuple(rows), report.spec, report.artifacts, report.facts)


def _where(target: str, artifact: str, sizes: dict[str, int]) -> tuple[object, ...]:
    return target, artifact, *sorted(sizes.items())


def _latency(one: Latency, medians: list[float]) -> Row:
    p90 = one.quantiles.get("p90", Estimate(None))
    return _row(
        one.artifact,
        one.target,
        one.sizes,
        one.quantiles.get("p50", Estimate(None)),
        medians,
        engine=one.engine,
        provider=one.provider,
        p90=p90.value,
        load=one.load.value,
        first_run=one.first_run.value,
        memory=one.memory.value,
        trust=one.trust.grade,
    )


def _sides(pair: Compared) -> Iterator[Row]:
    for name, medians in ((pair.a, pair.medians_a), (pair.b, pair.medians_b)):
        middle = median(medians) if medians else None
        yield _row(name, pair.target, pair.sizes, Estimate(middle), medians)


def _candidate(one: Candidate, kept: TuneReport) -> Row:
    return _row(one.artifact, _tuned(one, kept), {}, one.latency, (), memory=one.memory.value)


def _tuned(one: Candidate, kept: TuneReport) -> str:
    return f"{kept.target.partition('/')[0]}{one.target}"


def _swept(kept: SweepReport) -> Iterator[Latencies]:
    models = {one.model: one for one in kept.models}
    targets = {one.target: kept.facts.get(Target.parse(one.target).device) for one in kept.combinations}
    facts = {target: found for target, found in targets.items() if found is not None}
    for name in dict.fromkeys(one.model for one in kept.combinations):
        its = [one for one in kept.combinations if one.model == name]
        rows = tuple(_latency(one.latency, list(one.medians)) for one in its if one.latency)
        # A report of schema 1 says of a model only its name in the file.
        model = models.get(name)
        yield Latencies(rows, model.spec, model.artifacts, facts) if model else Latencies(rows, facts=facts)


def _row(
    artifact: str, target: str, sizes: dict[str, int], p50: Estimate, medians: Iterable[float], **more: Any
) -> Row:
    unknown = dict.fromkeys(("p90", "load", "first_run", "memory"))
    texts = dict.fromkeys(("engine", "provider", "trust"), "")
    return {
        "artifact": artifact,
        "target": target,
        "sizes": sizes,
        "p50": p50.value,
        "p50_low": p50.low,
        "p50_high": p50.high,
        "launch_medians": list(medians),
        **unknown,
        **texts,
        **more,
    }


def _budgets(report: Report) -> Iterator[Row]:
    for one in report.budgets:
        value = one.estimate.value
        yield _verdict("budget", one.budget, one.artifact, one.target, one.verdict.value, value, one.limit)


def _outcomes(report: Report) -> Iterator[Row]:
    for one in report.outcomes:
        yield _verdict("outcome", one.reason, one.chosen or "", one.target, one.verdict.value)


def _checked(one: Checked) -> Row:
    name = f"{one.model}: {one.check}"
    return _verdict(one.kind, name, one.artifact, one.target, one.verdict.value, one.estimate.value)


def _compared(one: Compared, kept: ComparisonReport) -> Row:
    name, bound = f"{one.b} / {one.a}", 1 + kept.minimum_effect
    return _verdict("comparison", name, one.b, one.target, one.verdict.value, one.ratio.value, bound)


def _swept_verdicts(kept: SweepReport) -> Iterator[Row]:
    names = {one.model: one.spec.name for one in kept.models}
    measured = {(one.model, one.artifact, one.target, one.batch, one.engine): one.latency for one in kept.combinations}
    for verdict in kept.verdicts:
        found = verdict.compared
        of = (verdict.model, verdict.artifact, found.target, verdict.batch)
        a, b = (measured.get((*of, engine)) for engine in (found.a, found.b))
        if a and b:
            name = of_version(names.get(verdict.model, verdict.model), b.engine, b.sizes) + a.engine
            value, bound = found.ratio.value, 1 + kept.minimum_effect
            yield _verdict("comparison", name, verdict.artifact, found.target, found.verdict.value, value, bound)
    for one in kept.combinations:
        if one.is_wrong:
            batch = f", batch {one.batch}" if one.batch > 1 else ""
            name = f"{names.get(one.model, one.model)}: {one.engine or 'the installed version'}{batch}"
            yield _verdict("parity", name, one.artifact, one.target, Verdict.FAIL.value)
    for lack in kept.missing:
        if lack.is_open:
            yield _verdict("outcome", lack.reason, lack.artifact, lack.target, Verdict.INCOMPLETE.value)


def of_version(model: str, engine: str, sizes: Mapping[str, int]) -> str:
    """How the name of the verdict on a backend version begins; the version that it is compared with follows."""
    at = ", ".join(f"{axis}={size}" for axis, size in sorted(sizes.items()))
    return f"{model}: {engine}{f' at {at}' if at else ''} / "


def _chosen(kept: TuneReport) -> tuple[Row, ...]:
    if kept.chosen is None:
        return ()
    where = _tuned(kept.chosen, kept)
    return (_verdict("outcome", "", kept.chosen.artifact, where, kept.verdict.value),)


def _verdict(
    kind: str,
    name: str,
    artifact: str,
    target: str,
    verdict: str,
    value: float | None = None,
    bound: float | None = None,
) -> Row:
    return {
        "kind": kind,
        "name": name,
        "artifact": artifact,
        "target": target,
        "value": value,
        "bound": bound,
        "verdict": verdict,
    }
