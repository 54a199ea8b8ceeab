"""The trade-off picture: quality over latency, with the size of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edgekit.core.reports.report import Estimate
from edgekit.core.spec.metric import metric_traits, metric_unit
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting
from edgekit.report.plots import label_placement, svg
from edgekit.report.plots.latency import Picture, colour
from edgekit.report.rows import Row, TargetView

_HEIGHT: Final = 250
_TOP: Final = 8
_NAME_LETTERS: Final = 26
_BOTTOM: Final = _HEIGHT - 28


@dataclass(frozen=True)
class _Point:
    row: Row
    across: Estimate
    quality: Estimate
    size_bytes: int


@dataclass(frozen=True)
class _Frame:
    """Both axes, and the largest file, which gets the largest dot."""

    across: svg.Scale
    up: svg.Scale
    largest_bytes: int

    @classmethod
    def around(cls, points: Sequence[_Point]) -> _Frame:
        across = svg.Scale.around([end for point in points for end in _ends(point.across)], margin=0.15)
        up = svg.Scale.around([end for point in points for end in _ends(point.quality)], is_log=False)
        return cls(across, up, max(point.size_bytes for point in points) or 1)

    def height(self, quality: float | None) -> float:
        return _TOP + (1 - self.up.place(quality or 0.0)) * (_BOTTOM - _TOP)

    def dot(self, point: _Point) -> label_placement.Dot:
        radius = 4 + 7 * math.sqrt(point.size_bytes / self.largest_bytes)
        x = self.across.place(point.across.value or 0.0)
        return label_placement.Dot(
            formatting.shortened(point.row.artifact, _NAME_LETTERS), x, self.height(point.quality.value), radius
        )


def picture(target: TargetView, names: Sequence[str], key: str) -> Picture | None:
    """Quality over latency, or over size if nothing was timed; None with fewer than two points."""
    is_timed = bool(target.timed)
    points = [point for row in target.artifacts if (point := _point(row, is_timed)) is not None]
    if len(points) < 2:
        return None
    metric = next(row.accuracy.metric for row in target.rows if row.accuracy)
    what, x_unit = ("median latency", "s") if is_timed else ("size", "bytes")
    where = f" on {target.target}" if target.target else ""
    description = "; ".join(_said(point, x_unit, metric_unit(metric)) for point in points)
    markup = svg.picture(
        _body(points, names, x_unit, metric_unit(metric), higher_is_better=metric_traits(metric).higher_is_better),
        height=_HEIGHT,
        title=f"{metric} and {what}{where}",
        description=description,
        key=key,
    )
    dots = " Larger dots are larger files." if is_timed else ""
    line = f" The stepped line joins what no other artifact surpasses in both {metric} and {what}."
    caption = f"Vertical: {metric}. Horizontal: {what}. Thin lines are 95 % intervals.{line}{dots}"
    return Picture(f"Trade-off{where}", caption, markup)


def efficient(points: Sequence[tuple[float, float]], *, higher_is_better: bool) -> list[int]:
    """The numbers of the points that no other one surpasses: to the left and (or) better, by increasing x.

    Each point is x, of which less is better, and the quality.
    """
    sign = 1.0 if higher_is_better else -1.0
    ordered = sorted(range(len(points)), key=lambda place: (points[place][0], -sign * points[place][1]))
    found: list[int] = []
    for place in ordered:
        if not found or sign * points[place][1] > sign * points[found[-1]][1]:
            found.append(place)
    return found


def _point(row: Row, is_timed: bool) -> _Point | None:
    size = row.made.size_bytes if row.made else 0
    across = row.quantile("p50") if is_timed else Estimate(size or None)
    if row.accuracy is None or row.accuracy.quality.value is None or not across.value:
        return None
    return _Point(row, across, row.accuracy.quality, size)


def _front(points: Sequence[_Point], frame: _Frame, *, higher_is_better: bool) -> str:
    """A staircase through the efficient points: what is behind it is surpassed."""
    values = [(point.across.value or 0.0, point.quality.value or 0.0) for point in points]
    best = [points[place] for place in efficient(values, higher_is_better=higher_is_better)]
    corners = [(svg.SIDE * frame.across.place(one.across.value or 0.0), _depth(one, frame)) for one in best]
    start, end = (corners[0][0], float(svg.SIDE if higher_is_better else 0)), (float(svg.SIDE), corners[-1][1])
    return svg.stretched(svg.steps([start, *corners, end], "front"), y=_TOP, height=_BOTTOM - _TOP)


def _depth(point: _Point, frame: _Frame) -> float:
    """The height of a point in data coordinates, downwards."""
    return svg.SIDE * (1 - frame.up.place(point.quality.value or 0.0))


def _body(
    points: Sequence[_Point], names: Sequence[str], x_unit: str, y_unit: str, *, higher_is_better: bool
) -> list[str]:
    frame = _Frame.around(points)
    dots = [frame.dot(point) for point in points]
    drawn = [
        svg.y_axis([(frame.height(value), format_tick(value, y_unit)) for value in frame.up.ticks()]),
        svg.x_axis(frame.across, x_unit, top=_TOP, bottom=_BOTTOM),
    ]
    drawn.append(_front(points, frame, higher_is_better=higher_is_better))
    drawn += [_whiskers(point, frame) for point in points]
    for point, dot in zip(points, dots, strict=True):
        place = {"cx": f"{100 * dot.x:.2f}%", "cy": f"{dot.y:.1f}", "r": f"{dot.radius:.1f}"}
        drawn.append(svg.element("circle", **place, class_=f"mark f{colour(names, point.row.artifact)}"))
    for point, dot, label in zip(points, dots, label_placement.place(dots, _BOTTOM), strict=True):
        beside = {"dx": f"{label.dx:.1f}", "text_anchor": label.anchor}
        css = f"label f{colour(names, point.row.artifact)}{' chosen' if point.row.is_chosen else ''}"
        drawn.append(svg.text(dot.name, f"{100 * dot.x:.2f}%", label.y + 4, class_=css, **beside))
    return drawn


def _whiskers(point: _Point, frame: _Frame) -> str:
    x, y = frame.across.percent(point.across.value or 0.0), f"{frame.height(point.quality.value):.1f}"
    drawn = []
    if point.across.low is not None and point.across.high is not None:
        left, right = frame.across.percent(point.across.low), frame.across.percent(point.across.high)
        drawn.append(svg.element("line", x1=left, x2=right, y1=y, y2=y, class_="whisker"))
    if point.quality.low is not None and point.quality.high is not None:
        low, high = (f"{frame.height(end):.1f}" for end in (point.quality.low, point.quality.high))
        drawn.append(svg.element("line", x1=x, x2=x, y1=low, y2=high, class_="whisker"))
    return "".join(drawn)


def _said(point: _Point, x_unit: str, y_unit: str) -> str:
    size = format_value(point.size_bytes or None, "bytes")
    across = "" if x_unit == "bytes" else f"{formatting.quantity(point.across, x_unit)}, "
    return f"{point.row.artifact}: {across}{formatting.quantity(point.quality, y_unit)}, {size}"


def _ends(estimate: Estimate) -> list[float]:
    return [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]
