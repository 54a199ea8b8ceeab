"""The picture of a series: a dot for each run, in the colour of its verdict, with the interval of its median."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from edgekit.core.reports.kept_pages import KeptSeries, SeriesPoint
from edgekit.core.units import format_figure, format_tick
from edgekit.core.verdict import Verdict
from edgekit.report import formatting
from edgekit.report.plots import svg

_TOP: Final = 8
_HEIGHT: Final = 150
HEIGHT: Final = _TOP + _HEIGHT + 24
"""Of a picture, in pixels."""
_DAY: Final = 10
_COMMIT: Final = 10
_STYLES: Final = {Verdict.PASS: "pass", Verdict.FAIL: "fail"}


def courses(one: KeptSeries) -> Iterator[tuple[str, Sequence[SeriesPoint]]]:
    """The title and the points of each picture of a series."""
    found = one.courses()
    for points in found:
        last = points[-1]
        at = formatting.at_sizes(last.sizes)
        is_version = any(other[-1].sizes == last.sizes and other[-1].engine != last.engine for other in found)
        yield f"{one.model}: {one.artifact} on {one.target}{at}{f', {last.engine}' * is_version}", points


def trend(points: Sequence[SeriesPoint], title: str, key: str, *, is_linked: bool = False) -> str:
    """The picture as SVG; `points` are oldest first, at least one has a median, and `key` is unique on the page.

    Args:
        is_linked: Dots are links to the pages of their runs.
    """
    known = [one for one in points if one.latency.value is not None]
    ends = [end for one in known for end in (one.latency.value, one.latency.low, one.latency.high) if end is not None]
    scale = svg.Scale.around(ends, is_log=False, margin=0.12)
    places = {number: 2 + 96 * (number + 0.5) / len(known) for number in range(len(known))}
    ticks = [(_y(scale, value), format_tick(value, "s")) for value in scale.ticks(4, gap=0.2)]
    line = [(10 * places[number], 1000 * (1 - scale.place(one.latency.value or 0))) for number, one in enumerate(known)]
    body = (
        svg.y_axis(ticks),
        svg.stretched(svg.line(line, "course"), y=_TOP, height=_HEIGHT) if len(line) > 1 else "",
        *(_dot(one, f"{places[number]:.2f}%", scale, is_linked) for number, one in enumerate(known)),
        *_days(known, places),
    )
    first, last = known[0], known[-1]
    said = f"{len(known)} runs; the first {_said(first)}, the last {_said(last)}"
    return svg.picture(body, height=HEIGHT, title=title, description=said, key=key)


def _dot(one: SeriesPoint, x: str, scale: svg.Scale, is_linked: bool) -> str:
    found = one.latency
    parts = [svg.element("title", svg.escaped(f"run {one.run}: {_said(one)}"))]
    if found.low is not None and found.high is not None:
        ends = {"x1": x, "x2": x, "y1": str(_y(scale, found.low)), "y2": str(_y(scale, found.high))}
        parts.append(svg.element("line", **ends, class_="reach"))
    css = "measured" if one.verdict is None else _STYLES.get(one.verdict, "inconclusive")
    y = str(_y(scale, found.value or 0.0))
    if css == "fail":  # a shape of its own: colour alone does not reach everybody
        parts.append(svg.element("circle", cx=x, cy=y, r="8", class_="ring"))
    parts.append(svg.element("circle", cx=x, cy=y, r="4.5", class_=f"mark {css}"))
    if not is_linked:
        return svg.element("g", *parts)
    # Rows of the table below lead there as well: the keyboard does not stop at each dot.
    return svg.element("a", *parts, href=f"/runs/{one.run}", tabindex="-1")


def _days(known: Sequence[SeriesPoint], places: dict[int, float]) -> list[str]:
    y = _TOP + _HEIGHT + 17
    first = svg.text(known[0].created[:_DAY], "0", y, class_="tick")
    last = svg.text(known[-1].created[:_DAY], "100%", y, class_="tick", text_anchor="end")
    return [first, last] if len(known) > 1 else [first]


def _y(scale: svg.Scale, value: float) -> float:
    return round(_TOP + _HEIGHT * (1 - scale.place(value)), 1)


def _said(one: SeriesPoint) -> str:
    verdict = one.verdict.value if one.verdict else "measured"
    figure = format_figure(one.latency.value, one.latency.low, one.latency.high, "s")
    return " ".join(part for part in (figure, verdict, one.created[:_DAY], one.commit[:_COMMIT]) if part)
