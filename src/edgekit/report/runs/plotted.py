"""Series of the store for people: a row for each run with its place on a common scale, or pictures in one SVG file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from edgekit.core.reports.kept_pages import SeriesPoint, SeriesReport
from edgekit.core.units import format_figure, format_value
from edgekit.core.verdict import Verdict
from edgekit.report import formatting
from edgekit.report.plots import svg
from edgekit.report.plots.trend import HEIGHT, courses, trend
from edgekit.report.widths import WIDTH, print_table, say, width_of

_DIM: Final = Style(dim=True)
_DAY: Final = 10
_COMMIT: Final = 10
_CHART: Final = (12, 40)
# What the columns next to the chart need, without and with the commit.
_OTHERS: Final = (44, 56)
_SVG_WIDTH: Final = 760
_LEFT: Final = 70
_TITLE: Final = 34
_STYLE: Final = """
.plot { overflow: visible; } .plot svg { overflow: hidden; }
text { font: 12px sans-serif; fill: #1b1d20; } .tick { fill: #595f66; font-size: 11.5px; }
path, line { fill: none; vector-effect: non-scaling-stroke; } .grid { stroke: #e7e7e1; }
.course { stroke: #595f66; stroke-opacity: 0.6; } .reach { stroke: #595f66; stroke-width: 2.4; }
.measured { fill: #1f5a94; } .pass { fill: #1a6b3c; } .fail { fill: #b3241c; } .inconclusive { fill: #8a5a00; }
.ring { fill: none; stroke: #b3241c; stroke-width: 1.5; } .mark { stroke: #ffffff; stroke-width: 1.5; }
"""


def render(report: SeriesReport, console: Console) -> None:
    """Print each series at each size of its inputs, oldest run first."""
    if not report.series:
        say(console, Text(f"No measurement in '{formatting.clean(report.store)}' fits."))
    for number, (title, points) in enumerate(_all_courses(report)):
        say(console, *([Text("")] if number else []), Text(formatting.clean(title), style=Style(bold=True)))
        _rows(points, console)
    if report.total > len(report.series):
        say(console, Text(""), Text(f"{len(report.series)} of {report.total:,} series", style=_DIM))


def render_svg(report: SeriesReport) -> str:
    """The courses below one another, as a complete SVG file; those without a median are left out."""
    timed = [found for found in _all_courses(report) if _ends(found[1])]
    parts = []
    for number, (title, points) in enumerate(timed):
        top = number * (HEIGHT + _TITLE)
        parts.append(svg.element("text", svg.escaped(title), x=8, y=top + 22))
        picture = trend(points, title, f"course-{number}")
        place = {
            "x": _LEFT,
            "y": top + _TITLE,
            "width": _SVG_WIDTH - _LEFT - 16,
            "height": HEIGHT,
            "overflow": "visible",
        }
        parts.append(svg.element("svg", picture, **place))
    size = {"width": _SVG_WIDTH, "height": max(len(timed) * (HEIGHT + _TITLE), _TITLE)}
    style, paper = svg.element("style", _STYLE), svg.element("rect", width="100%", height="100%", fill="#ffffff")
    return svg.element("svg", style, paper, *parts, xmlns="http://www.w3.org/2000/svg", **size) + "\n"


def _all_courses(report: SeriesReport) -> list[tuple[str, Sequence[SeriesPoint]]]:
    return [found for one in report.series for found in courses(one)]


def _ends(points: Sequence[SeriesPoint]) -> list[float]:
    figures = (end for one in points for end in (one.latency.low, one.latency.value, one.latency.high))
    return [one for one in figures if one is not None]


def _rows(points: Sequence[SeriesPoint], console: Console) -> None:
    ends = _ends(points)
    has_commit = width_of(console) >= WIDTH and any(one.commit for one in points)
    least, most = _CHART
    width = min(max(width_of(console) - _OTHERS[has_commit], least), most)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=_DIM)
    for title in ("run", "when", "verdict", "p50", *(["commit"] * has_commit)):
        table.add_column(title, justify="right" if title in ("run", "p50") else "left")
    table.add_column(_axis(ends, width), no_wrap=True)
    scale = svg.Scale.around(ends, is_log=False) if ends else None
    for one in points:
        words = one.verdict.value if one.verdict else "measured"
        commit = [one.commit[:_COMMIT]] * has_commit
        row = (str(one.run), one.created[:_DAY], words, format_value(one.latency.value, "s"), *commit)
        table.add_row(*map(formatting.clean, row), _placed(one, scale, width))
    print_table(console, table)


def _axis(ends: Sequence[float], width: int) -> str:
    """The ends of the scale, as far apart as the chart is wide."""
    if not ends:
        return ""
    low, high = (format_figure(end, None, None, "s") for end in (min(ends), max(ends)))
    return f"{low}{high.rjust(width - len(low))}"


def _placed(one: SeriesPoint, scale: svg.Scale | None, width: int) -> str:
    """The interval as a line, and the median on it."""
    latency = one.latency
    if scale is None or latency.value is None:
        return ""
    low, value, high = (
        round(scale.place(latency.value if end is None else end) * (width - 1))
        for end in (latency.low, latency.value, latency.high)
    )
    line = " " * low + "-" * (high - low + 1)
    return line[:value] + ("x" if one.verdict is Verdict.FAIL else "o") + line[value + 1 :]
