"""The page of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgekit.core.recipe import RECIPES
from edgekit.core.reports.explain import grouped
from edgekit.core.reports.report import Estimate, Operators, Outcome, ParityCheck, Report
from edgekit.core.reports.sustained import Sustained
from edgekit.core.spec.metric import drop_unit
from edgekit.core.units import ABSENT, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import formatting, operator_times, rows, verdicts
from edgekit.report.pages import facts
from edgekit.report.pages.budget_matrix import budget_matrix
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.page import WORDS, Head, marked, render, signed
from edgekit.report.pages.pictures import calls, disturbed, gauge
from edgekit.report.plots import latency, operator_bars, sustained, tradeoff, training
from edgekit.report.plots.latency import Picture

_PARITY: Sequence[Column] = (
    Column("artifact"),
    *(Column(title, is_text=True) for title in ("backend", "case", "output", "verdict")),
    Column("value (limit)"),
    *(Column(title) for title in ("largest difference", "mean difference", "SQNR", "cosine", "top-1", "worst sample")),
)
_KINDS: Sequence[Column] = (
    Column("type"),
    *(Column(title) for title in ("number", "time per call", "share")),
    Column("provider", is_text=True),
)


def render_html(report: Report) -> str:
    """The page. Every text is escaped, and the content policy allows neither scripts nor requests.

    Raises:
        MissingExtra: jinja2 is not installed.
    """
    is_measured = verdicts.is_measured(report)
    head = Head(
        command=report.command,
        created=report.created,
        name=report.spec.name if report.spec else report.bundle or "report",
        word="Measured" if is_measured else WORDS[report.verdict],
        verdict=None if is_measured else report.verdict,
        counts=verdicts.measured(report) if is_measured else _counted(report),
        place=report.bundle,
    )
    return render(
        "report.html", head, tools=report.tools, reproduction=report.reproduction, more=_run(report), **sections(report)
    )


def sections(report: Report) -> dict[str, Any]:
    """What the templates of all sections of a report need."""
    targets = rows.targets(report)
    names = rows.artifact_names(report)
    return {
        "report": report,
        "parity_failures": [check for check in rows.open_parity(report) if check.verdict is Verdict.FAIL],
        "failures": rows.failures(report),
        "targets": targets,
        "outcomes": [] if verdicts.is_measured(report) else _outcomes(report, targets),
        "metric": next((entry.metric for entry in report.accuracy), "accuracy"),
        "detectable": _detectable(report),
        "tradeoffs": list(_tradeoffs(targets, names)),
        "matrix": budget_matrix(report.budgets),
        "nearest_misses": lambda target: rows.nearest_misses(report, target),
        "judge": lambda check: rows.judged(report, check),
        "gauge": gauge,
        "pictures": calls(targets, names, "calls"),
        "causes": grouped(report.causes),
        "whole_calls": _whole_calls(report),
        "operators": list(_operators(report, names)),
        "sustained": list(_sustained(report, names)),
        "disturbed": disturbed(targets),
        "training": _training(report),
        "colour_of": lambda name: latency.colour(names, name),
        "open_parity": _parity("checks that did not pass", rows.open_parity(report)),
        "all_parity": _parity("all parity checks", report.parity),
        "devices": facts.devices(report, targets),
        "trust_words": facts.TRUST,
        "recipes": RECIPES,
        "warnings": rows.warnings(report),
    }


def _run(report: Report) -> Iterator[tuple[str, str]]:
    """What else belongs to the run."""
    yield "seed", str(report.seed)
    stages = [f"{stage} {format_value(seconds, 's')}" for stage, seconds in report.stages.items()]
    if stages:
        yield "wall time", ", ".join(stages)
    yield "schema", str(report.schema_version)


def _outcomes(report: Report, targets: Sequence[rows.TargetView]) -> list[rows.TargetView]:
    """Targets whose outcome says more than the verdict of the whole report."""
    found = [target for target in targets if target.outcome]
    return [target for target in found if target.outcome and _says_more(report, target.target, target.outcome)]


def _says_more(report: Report, target: str, outcome: Outcome) -> bool:
    is_other = outcome.verdict is not report.verdict
    return bool(is_other or outcome.chosen or outcome.reason or rows.nearest_misses(report, target))


def _parity(name: str, checks: Sequence[ParityCheck]) -> Grid:
    return grid(name, _PARITY, map(_parity_row, checks))


def _parity_row(check: ParityCheck) -> tuple[GridCell, ...]:
    sample = formatting.parity_sample(check).removeprefix("sample ")
    return (
        GridCell(check.artifact, is_code=True),
        GridCell(check.where),
        GridCell(check.case),
        GridCell(check.output, is_code=True),
        GridCell(WORDS[check.verdict], verdict=check.verdict),
        GridCell(signed(formatting.parity_value(check)) or ABSENT, under=check.reason),
        GridCell(format_value(check.max_abs, "1")),
        GridCell(format_value(check.mean_abs, "1")),
        GridCell(signed(format_value(check.sqnr_db, "dB"))),
        GridCell(signed(format_value(check.cosine, "1"))),
        GridCell(format_value(check.top1, "ratio")),
        GridCell(sample or ABSENT),
    )


def _whole_calls(report: Report) -> Grid | None:
    """Calls from a file to a prediction with their parts, a row for each quantile; None if none were timed."""
    found = rows.whole_calls(report)
    if not found:
        return None
    columns = (
        Column("artifact"),
        Column("target", is_text=True),
        Column("quantile", is_text=True),
        *map(Column, found[0][1].columns),
    )
    lines = [
        (
            GridCell(latency.artifact, is_code=True),
            GridCell(latency.target),
            GridCell(name),
            *(_time(quantiles[name]) for quantiles in whole.columns.values()),
        )
        for latency, whole in found
        for name in whole.whole
    ]
    return grid("calls from end to end", columns, lines)


def _time(estimate: Estimate) -> GridCell:
    return GridCell(formatting.quantity(estimate, "s"), under=formatting.interval(estimate, "s") or estimate.reason)


def _operators(report: Report, names: Sequence[str]) -> Iterator[tuple[Picture, Grid]]:
    """The operators of every artifact as bars, on one scale, and by type."""
    measured = [found for found in report.operators if found.times]
    scale = operator_bars.scale_of(measured)
    for number, found in enumerate(measured):
        colour, words = latency.colour(names, found.artifact), operator_times.together(found, report.latency)
        picture = operator_bars.picture(found, scale, colour, words, f"operators-{number}")
        yield marked(picture), _kinds(found)


def _kinds(found: Operators) -> Grid:
    rows_of = [
        (
            GridCell(kind.name, is_code=True),
            GridCell(str(kind.count)),
            GridCell(format_value(kind.seconds, "s")),
            GridCell(format_value(kind.share, "ratio")),
            GridCell(kind.provider),
        )
        for kind in operator_times.kinds(found)
    ]
    return grid(f"operators of {found.artifact} on {found.target} by type", _KINDS, rows_of)


def _sustained(report: Report, names: Sequence[str]) -> Iterator[tuple[Sustained, str, Picture | None]]:
    for number, found in enumerate(report.sustained):
        picture = sustained.picture(found, names, f"sustained-{number}")
        yield found, sustained.sentence(found), marked(picture) if picture else None


def _training(report: Report) -> dict[str, Any] | None:
    found = report.training
    if found is None:
        return None
    return {"result": training.sentence(found), "pictures": list(map(marked, training.pictures(found, "training")))}


def _tradeoffs(targets: Sequence[rows.TargetView], names: Sequence[str]) -> Iterator[Picture]:
    for number, target in enumerate(targets):
        picture = tradeoff.picture(target, names, f"tradeoff-{number}")
        if picture:
            yield marked(picture)


def _counted(report: Report) -> str:
    """`2 of 2 targets, 14 of 14 parity checks and 16 of 24 budget checks pass.`, or an empty text."""
    nouns = {"made": "recipe", "targets": "target", "parity": "parity check", "budgets": "budget check"}
    parts = [
        f"{passed} of {formatting.plural(total, nouns[kind])} {'passes' if total == 1 else 'pass'}"
        for kind, passed, total in rows.counts(report)
    ]
    return f"{', '.join(parts)}." if parts else ""


def _detectable(report: Report) -> str:
    """The samples of the quality, and the drop that they can show; empty if unknown."""
    found = [(entry.detectable, entry.metric) for entry in report.accuracy if entry.detectable is not None]
    judged = f"{on[:1].upper()}{on[1:]}." if (on := rows.judged_on(report)) else ""
    if not found:
        return judged
    smallest, largest = (format_value(value, drop_unit(metric)) for value, metric in (min(found), max(found)))
    size = smallest if smallest == largest else f"{smallest} ({largest} where predictions differ most)"
    return f"{judged} These samples can show a drop of {size} or more, but not a smaller one.".strip()
