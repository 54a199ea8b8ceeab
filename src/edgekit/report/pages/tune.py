"""The page of a tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edgekit.core.reports.tuning import Candidate, TuneReport
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting, tune
from edgekit.report.pages.grids import Column, Grid, GridCell, grid
from edgekit.report.pages.page import Head, marked, render, signed
from edgekit.report.plots import interval_rows, latency
from edgekit.report.plots.latency import Picture

_CANDIDATES: Sequence[Column] = (
    Column("artifact"),
    *(Column(title, is_text=True) for title in ("backend", "options")),
    *(Column(title) for title in ("p50", "launches", "memory", "size", "loss")),
    Column("choice", is_text=True),
)
_REFUSED: Sequence[Column] = (Column("reason"), Column("candidates", is_text=True))
_MOST: Final = 16


def render_html(report: TuneReport) -> str:
    """The page; errors as in `pages.page.render`."""
    head = Head(
        command=report.command,
        created=report.created,
        name=f"{report.bundle} on {report.target}",
        word="Chosen",
        counts=_counts(report),
        place=report.device,
    )
    more = [("saved in", report.file)] * bool(report.file) + [("schema", str(report.schema_version))]
    measured = [one for one in report.candidates if not one.refused]
    return render(
        "tune.html",
        head,
        tools=report.tools,
        reproduction=report.reproduction,
        more=more,
        notes=list(tune.notes(report)),
        candidates=_grid(report, measured),
        picture=_picture(report, measured),
        refused=_refused(report),
    )


def _counts(report: TuneReport) -> str:
    median = f": p50 {formatting.figure(report.chosen.latency, 's')}" if report.chosen else ""
    return tune.chosen_target(report) + median


def _grid(report: TuneReport, measured: Sequence[Candidate]) -> Grid:
    chosen = [place for place, one in enumerate(measured) if one == report.chosen]
    return grid("candidates", _CANDIDATES, [_row(one, report) for one in measured], chosen)


def _row(one: Candidate, report: TuneReport) -> tuple[GridCell, ...]:
    efficient = "not surpassed by another one" if one.is_efficient else ""
    return (
        GridCell(one.artifact, is_code=True),
        GridCell(one.backend),
        GridCell(tune.options(one), is_code=True),
        GridCell(formatting.quantity(one.latency, "s"), under=formatting.interval(one.latency, "s")),
        GridCell(str(one.launches)),
        GridCell(format_value(one.memory.value, "bytes")),
        GridCell(format_value(one.size_bytes, "bytes")),
        GridCell(signed(tune.loss(one))),
        GridCell(tune.mark(one, report), under=efficient),
    )


def _picture(report: TuneReport, measured: Sequence[Candidate]) -> Picture | None:
    """The fastest candidates on one axis, in the colours of their artifacts; None with fewer than two."""
    timed = sorted((one for one in measured if one.latency.value), key=lambda one: one.latency.value or 0.0)[:_MOST]
    if len(timed) < 2:
        return None
    names = list(dict.fromkeys(one.artifact for one in report.candidates))
    rows = [
        interval_rows.IntervalRow(
            f"{one.artifact} {tune.options(one)}".strip(),
            " ".join(part for part in (formatting.quantity(one.latency, "s"), tune.mark(one, report)) if part),
            one.latency,
            f"f{latency.colour(names, one.artifact)}",
        )
        for one in timed
    ]
    axis = interval_rows.IntervalAxis(lambda value: format_tick(value, "s"), is_log=True)
    markup = interval_rows.draw(rows, axis, title=f"Median latency of candidates on {report.target}", key="candidates")
    left_out = len(measured) - len(timed)
    rest = f" {formatting.plural(left_out, 'slower one')} are only in the table." if left_out else ""
    caption = f"The fastest candidates with 95 % intervals over launches; one launch has none. Logarithmic axis.{rest}"
    return marked(Picture("Median latency", caption, markup))


def _refused(report: TuneReport) -> Grid | None:
    """Each reason once, with all candidates that it excludes."""
    found: dict[str, list[str]] = {}
    for one in report.candidates:
        if one.refused:
            found.setdefault(one.refused, []).append(f"{one.artifact} as {one.target.removeprefix('/')}")
    rows = [(GridCell(reason), GridCell(", ".join(names), is_code=True)) for reason, names in found.items()]
    return grid("excluded candidates", _REFUSED, rows) if rows else None
