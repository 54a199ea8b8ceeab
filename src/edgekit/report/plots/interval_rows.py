"""Values with their intervals, one under another, on one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.report import formatting
from edgekit.report.plots import svg

_LETTERS: Final = 42
_ROW: Final = 36


@dataclass(frozen=True)
class IntervalRow:
    """One value: its name, the figure as text, and the style of its mark, such as `f0` or `fail`."""

    name: str
    said: str
    estimate: Estimate
    css: str


@dataclass(frozen=True)
class IntervalAxis:
    """The axis that all rows share: how its values are written, a value that is marked, and a band around it."""

    tick: Callable[[float], str]
    is_log: bool = False
    marked: float | None = None
    band: tuple[float, float] | None = None


def draw(rows: Sequence[IntervalRow], axis: IntervalAxis, *, title: str, key: str) -> str:
    """The picture as SVG; `rows` all have a value."""
    scale = svg.Scale.around(_ends(rows, axis), is_log=axis.is_log, margin=0.08)
    bottom = len(rows) * _ROW + 4
    body = (
        _band(scale, axis, bottom),
        _axis(scale, axis, bottom),
        *(_row(one, place, scale) for place, one in enumerate(rows)),
    )
    said = "; ".join(f"{one.name}: {one.said}" for one in rows)
    return svg.picture(body, height=bottom + 24, title=title, description=said, key=key)


def _ends(rows: Sequence[IntervalRow], axis: IntervalAxis) -> list[float]:
    known = [end for one in rows for end in (one.estimate.value, one.estimate.low, one.estimate.high)]
    return [end for end in (*known, axis.marked, *(axis.band or ())) if end is not None]


def _axis(scale: svg.Scale, axis: IntervalAxis, bottom: float) -> str:
    drawn = []
    for value in scale.ticks(5, gap=0.19):
        x = scale.percent(value)
        css = "zero" if value == axis.marked else "grid"
        drawn.append(svg.element("line", x1=x, x2=x, y1="2", y2=str(bottom), class_=css))
        drawn.append(
            svg.text(axis.tick(value), x, bottom + 16, class_="tick", text_anchor=svg.anchor(scale.place(value)))
        )
    if axis.marked is not None:
        x = scale.percent(axis.marked)
        drawn.append(svg.element("line", x1=x, x2=x, y1="2", y2=str(bottom), class_="zero"))
    return "".join(drawn)


def _band(scale: svg.Scale, axis: IntervalAxis, bottom: float) -> str:
    if axis.band is None:
        return ""
    low, high = (100 * scale.place(end) for end in axis.band)
    return svg.element(
        "rect", x=f"{low:.2f}%", width=f"{high - low:.2f}%", y="2", height=str(bottom - 2), class_="band"
    )


def _row(one: IntervalRow, place: int, scale: svg.Scale) -> str:
    top = place * _ROW + 4
    y, found = str(top + 24), one.estimate
    parts = [
        svg.element("title", svg.escaped(f"{one.name}: {one.said}")),
        svg.text(formatting.shortened(one.name, _LETTERS), "0", top + 12, class_="name"),
        svg.text(one.said, "100%", top + 12, class_="tick", text_anchor="end"),
    ]
    if found.low is not None and found.high is not None:
        ends = {"x1": scale.percent(found.low), "x2": scale.percent(found.high), "y1": y, "y2": y}
        parts.append(svg.element("line", **ends, class_="reach"))
    parts.append(svg.element("circle", cx=scale.percent(found.value or 0.0), cy=y, r="5", class_=f"mark {one.css}"))
    return svg.element("g", *parts)
