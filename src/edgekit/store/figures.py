"""The figures of a report that the store has columns for, in SI units."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from edgekit.core.reports.check import Checked, CheckReport
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.kept import Keepable
from edgekit.core.reports.report import Estimate, Latency, Report
from edgekit.core.reports.tuning import Candidate, TuneReport

Row = dict[str, Any]


@dataclass(frozen=True)
class Latencies:
    """Rows of measurements, and the report with the model, the files and the devices that they belong to."""

    rows: tuple[Row, ...]
    report: Report | None = None


@dataclass(frozen=True)
class KeptFigures:
    """What was given to a command, and the rows of measurements and of verdicts in its report."""

    subject: str
    latency: tuple[Latencies, ...]
    verdicts: tuple[Row, ...]

    @property
    def reports(self) -> tuple[Report, ...]:
        """The reports of models."""
        return tuple(one.report for one in self.latency if one.report)


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
    tuned = tuple(_candidate(one, kept) for one in kept.candidates if one.launches)
    return KeptFigures(kept.bundle, (Latencies(tuned),), _chosen(kept))


def _measured(report: Report) -> Latencies:
    medians: dict[tuple[object, ...], list[float]] = {}
    for one in report.measurements:
        if one.metric == "latency":
            values = [median(launch) for launch in one.launch_values if launch]
            medians.setdefault(_where(one.target, one.artifact, one.sizes), []).extend(values)
    rows = (_latency(one, medians.get(_where(one.target, one.artifact, one.sizes), [])) for one in report.latency)
    return Latencies(tuple(rows), report)


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
