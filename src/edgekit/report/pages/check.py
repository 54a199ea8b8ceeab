"""The page of a check: its results, then everything that was measured for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeVar

import msgspec

from edgekit.core.reports.check import Change, Checked, CheckReport
from edgekit.core.reports.report import Report
from edgekit.core.verdict import Verdict
from edgekit.report import check, formatting
from edgekit.report.pages.compare import changes, pairs_grid
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.html import sections
from edgekit.report.pages.page import WORDS, Head, render, signed

_RESULTS: Sequence[Column] = (
    Column("check"),
    *(Column(title, is_text=True) for title in ("verdict", "what", "result")),
)
_CHANGES: Sequence[Column] = (
    Column("what"),
    Column("metric", is_text=True),
    *(Column(title) for title in ("baseline", "now", "difference")),
)
_ORDER: Final = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
Entry = TypeVar("Entry", bound=msgspec.Struct)


def render_html(report: CheckReport) -> str:
    """The page; errors as in `pages.page.render`."""
    head = Head(
        command=report.command,
        created=report.created,
        name=report.config,
        word=WORDS[report.verdict],
        verdict=report.verdict,
        counts=check.counted(report) or f"{formatting.plural(len(report.results), 'check')} passed.",
    )
    more = [("checked commit", report.commit)] * bool(report.commit)
    more += [("policy", report.policy), ("schema", str(report.schema_version))]
    return render(
        "check.html", head, tools=report.tools, reproduction=report.reproduction, more=more, **_context(report)
    )


def _context(report: CheckReport) -> dict[str, Any]:
    ordered = sorted(report.results, key=lambda one: _ORDER.index(one.verdict))
    return {
        **sections(_merged(report.reports)),
        "results": grid("checks", _RESULTS, map(_result, ordered)),
        "baselines": _baselines(report.results),
        "pairs": pairs_grid(report.comparisons) if report.comparisons else None,
        "change": changes(report.comparisons, None, "change"),
        "notices": (*check.slower(report), *report.warnings),
    }


def _result(one: Checked) -> tuple[GridCell, ...]:
    return (
        GridCell(one.check),
        GridCell(WORDS[one.verdict], verdict=one.verdict),
        GridCell(one.series, is_code=True),
        GridCell(signed(check.said(one))),
    )


def _baselines(results: Iterable[Checked]) -> Grid | None:
    """The figures that have a baseline, before and now."""
    found = [(one, one.change) for one in results if one.change is not None]
    return grid("figures with a baseline", _CHANGES, [_before_and_now(*pair) for pair in found]) if found else None


def _before_and_now(one: Checked, found: Change) -> tuple[GridCell, ...]:
    figures = (
        GridCell(signed(formatting.quantity(each, unit)), under=signed(formatting.interval(each, unit)))
        for each, unit in (
            (found.before, found.unit),
            (found.now, found.unit),
            (found.difference, found.difference_unit),
        )
    )
    return (GridCell(one.series, is_code=True), GridCell(one.metric), *figures)


def _merged(reports: Sequence[Report]) -> Report:
    """All models in one report, each artifact with the name of its model in front."""
    whole = Report(command="check", created="")
    for one in reports:
        model = one.spec.name if one.spec else one.bundle
        named = _named(one, f"{model}/") if len(reports) > 1 else one
        parts = ("artifacts", "parity", "accuracy", "measurements", "latency", "operators", "budgets", "causes")
        whole = msgspec.structs.replace(
            whole,
            **{part: (*getattr(whole, part), *getattr(named, part)) for part in parts},
            facts=whole.facts | one.facts,
            facts_after=whole.facts_after | one.facts_after,
            split=one.split if len(reports) == 1 else None,
            warnings=tuple(dict.fromkeys((*whole.warnings, *one.warnings))),
        )
    return whole


def _named(report: Report, prefix: str) -> Report:
    def named(entries: Iterable[Entry], field: str = "artifact") -> tuple[Entry, ...]:
        return tuple(msgspec.structs.replace(one, **{field: f"{prefix}{getattr(one, field)}"}) for one in entries)

    return msgspec.structs.replace(
        report,
        artifacts=named(report.artifacts, "recipe"),
        parity=named(report.parity),
        accuracy=named(report.accuracy),
        measurements=named(report.measurements),
        latency=named(report.latency),
        operators=named(report.operators),
        budgets=named(report.budgets),
        causes=named(report.causes),
    )
