"""The page of a bisection."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.reports.bisect import Aligned, BisectReport
from edgekit.core.units import ABSENT
from edgekit.core.verdict import Verdict
from edgekit.report import bisect, formatting
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.page import Head, marked, render, signed
from edgekit.report.plots import error_depth

_TENSORS: Sequence[Column] = (
    Column("tensor"),
    *(Column(title, is_text=True) for title in ("verdict", "in B", "operator", "module")),
    *(Column(title) for title in ("error", "added", "SQNR or difference (limit)", "largest difference")),
)


def render_html(report: BisectReport) -> str:
    """The page; errors as in `pages.page.render`."""
    first = None if report.first is None else report.aligned[report.first]
    is_whole = report.refused is None and (first is None or first.is_within)
    word = "Within tolerance" if is_whole else "Diverges" if report.refused is None else "Stops"
    head = Head(
        command=report.command,
        created=report.created,
        name=f"{report.b} against {report.a}",
        word=word,
        verdict=Verdict.PASS if is_whole else Verdict.FAIL,
        counts=_counts(report),
        place=report.path,
    )
    more = [("case", report.case), ("runs", str(report.runs)), ("schema", str(report.schema_version))]
    picture = error_depth.picture(report, "depth")
    return render(
        "bisect.html",
        head,
        tools=report.tools,
        reproduction=report.reproduction,
        more=more,
        report=report,
        findings=[signed(line.strip()) for line in bisect.findings(report)],
        picture=marked(picture) if picture else None,
        tensors=_grid(report) if report.aligned else None,
    )


def _counts(report: BisectReport) -> str:
    if not report.aligned:
        return f"case '{report.case}'"
    beyond = sum(not one.is_within for one in report.aligned)
    return f"{beyond} of {formatting.plural(len(report.aligned), 'tensor')} out of tolerance on case '{report.case}'"


def _grid(report: BisectReport) -> Grid:
    rows = [_row(report, place, one) for place, one in enumerate(report.aligned)]
    marked_rows = [place for place in (report.first, report.most) if place is not None]
    return grid("tensors from inputs to outputs", _TENSORS, rows, marked_rows)


def _row(report: BisectReport, place: int, one: Aligned) -> tuple[GridCell, ...]:
    words = ["first out of tolerance"] * (place == report.first and not one.is_within)
    words += ["adds the most error"] * (place == report.most)
    operators = list(dict.fromkeys((one.operator_a, one.operator_b)))
    return (
        GridCell(f"{place + 1}. {one.a}", under=", ".join(words), is_code=True),
        GridCell("within" if one.is_within else "beyond", verdict=Verdict.PASS if one.is_within else Verdict.FAIL),
        GridCell(ABSENT if one.b == one.a else one.b, is_code=True),
        GridCell(", in B ".join(operators)),
        GridCell(one.module or ABSENT, is_code=True),
        GridCell(_decibels(one.error)),
        GridCell(_decibels(one.added)),
        GridCell(signed(_judged(one))),
        GridCell(f"{one.largest:.3g}"),
    )


def _decibels(share: float) -> str:
    """An error relative to the signal; a dash if there is none."""
    return signed(f"{error_depth.decibels(share):.0f} dB") if share > 0 else ABSENT


def _judged(one: Aligned) -> str:
    if one.value is None:
        return ABSENT
    if one.kind == "sqnr":
        return f"{one.value:.1f} dB (at least {one.limit:g})"
    return f"{one.value:.2g} of its range (limit {one.limit:g})"
