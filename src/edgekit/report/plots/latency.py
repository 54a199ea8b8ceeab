"""The pictures of latency: the distribution of calls, and every call of every launch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgekit.core.measurement import Launch
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting
from edgekit.report.plots import svg
from edgekit.report.rows import Row, TargetView

COLOURS: Final = 8
_ECDF_HEIGHT: Final = 220
_ROW_HEIGHT: Final = 20
# The slowest calls stand in a margin of their own, so that one hiccup of the system does not flatten all others.
_MAIN: Final = 0.88
_MOST, _TAIL = 0.9, 0.99
# Rows of dots are five deep, so that calls of equal length can be told apart.
_LANES: Final = 5


@dataclass(frozen=True)
class Picture:
    """A picture with its headline and one sentence on what it shows."""

    title: str
    caption: str
    markup: str


def colour(names: Sequence[str], name: str) -> int:
    """The colour of an artifact: its index in `names`, the same in every picture."""
    return names.index(name) % COLOURS


def distribution(target: TargetView, names: Sequence[str], key: str) -> Picture | None:
    """Share of calls that are at least as fast, one line per launch; None if nothing was timed."""
    rows = [row for row in target.rows if row.is_timed and _launches(row)]
    if not rows:
        return None
    scale = svg.Scale.around([value for row in rows for value in _bulk(row)], margin=0.02)
    bottom = _ECDF_HEIGHT - 26
    levels = [((1 - share) * (bottom - 6) + 6, f"{share:.0%}") for share in (0.0, 0.5, 0.9, 1.0)]
    curves = [
        svg.steps(_staircase(launch.values, scale), f"curve c{colour(names, row.artifact)}")
        for row in rows
        for launch in _launches(row)
    ]
    body = (
        svg.y_axis(levels),
        svg.x_axis(scale, "s", top=6, bottom=bottom),
        svg.stretched(*curves, y=6, height=bottom - 6),
    )
    title = f"Distribution of latency on {target.target}"
    medians = "; ".join(f"{row.artifact}: median {formatting.quantity(row.quantile('p50'), 's')}" for row in rows)
    markup = svg.picture(body, height=_ECDF_HEIGHT, title=title, description=medians, key=key)
    return Picture(
        "Distribution",
        "Share of calls that are at least this fast, one line per launch. The slowest calls are beyond the axis.",
        markup,
    )


def launches(row: Row, names: Sequence[str], key: str) -> Picture | None:
    """Every call of one artifact, one row of dots per launch, warm-up in its own colour; None if it was not timed."""
    if not row.is_timed or not _launches(row):
        return None
    found = _launches(row)
    strip = _Strip.of(row)
    bottom = len(found) * _ROW_HEIGHT + 4
    body = (
        _band(row, strip, bottom),
        _strip_axis(strip, bottom),
        svg.stretched(*_rows_of_dots(found, strip, colour(names, row.artifact)), y=4, height=bottom - 4),
        *(_launch_label(place, launch) for place, launch in enumerate(found)),
    )
    title = f"Every call of {row.artifact} on {row.target}"
    description = f"{row.counts}. Median {formatting.quantity(row.quantile('p50'), 's')}."
    markup = svg.picture(body, height=bottom + 24, title=title, description=description, key=key)
    sizes = f", {formatting.sizes(row.latency.sizes)}" if row.latency and row.latency.sizes else ""
    return Picture(f"{row.artifact}{sizes}", _beyond(found, strip.scale), markup)


def _launches(row: Row) -> tuple[Launch, ...]:
    return tuple(launch for launch in row.measurement.launches if launch.values) if row.measurement else ()


def _bulk(row: Row) -> list[float]:
    """Ends of the range that an axis has to resolve: most calls of every launch, nearly all of a typical one."""
    values = [launch.values for launch in _launches(row)]
    tails = [float(np.quantile(one, _TAIL)) for one in values]
    return [*map(min, values), *(float(np.quantile(one, _MOST)) for one in values), float(np.median(tails))]


def _staircase(values: Sequence[float], scale: svg.Scale) -> list[svg.Point]:
    ordered = sorted(values)
    inside = [value for value in ordered if value <= scale.high]
    heights = [svg.SIDE * (1 - rank / len(ordered)) for rank in range(len(inside) + 1)]
    places = [svg.SIDE * scale.place(value) for value in inside]
    return list(zip([places[0], *places], heights, strict=True))


@dataclass(frozen=True)
class _Strip:
    """An axis for the bulk of the calls, and a margin on its right that reaches to the slowest of all."""

    scale: svg.Scale
    margin: svg.Scale

    @classmethod
    def of(cls, row: Row) -> _Strip:
        scale = svg.Scale.around(_bulk(row), margin=0.05)
        slowest = max(value for launch in _launches(row) for value in (*launch.values, *launch.warmups))
        return cls(scale, svg.Scale(scale.high, max(slowest, scale.high) * 1.01))

    def place(self, value: float) -> float:
        """From 0 to 1."""
        if value <= self.scale.high:
            return _MAIN * self.scale.place(value)
        return _MAIN + (1 - _MAIN) * (0.12 + 0.85 * self.margin.place(value))

    def percent(self, value: float) -> str:
        return f"{100 * self.place(value):.2f}%"


def _rows_of_dots(found: Sequence[Launch], strip: _Strip, number: int) -> list[str]:
    step, drawn = svg.SIDE / len(found), []
    for place, launch in enumerate(found):
        dim = " disturbed" if launch.disturbed else ""
        drawn.append(svg.dots(_dots(launch.warmups, place * step, step, strip), "dots warm"))
        drawn.append(svg.dots(_dots(launch.values, place * step, step, strip), f"dots c{number}{dim}"))
        x = svg.SIDE * strip.place(float(np.median(launch.values)))
        drawn.append(svg.line([(x, (place + 0.12) * step), (x, (place + 0.88) * step)], "median"))
    return drawn


def _dots(values: Sequence[float], top: float, step: float, strip: _Strip) -> list[svg.Point]:
    lanes = [top + step * (0.26 + 0.48 * lane / (_LANES - 1)) for lane in range(_LANES)]
    return [(svg.SIDE * strip.place(value), lanes[index % _LANES]) for index, value in enumerate(values)]


def _strip_axis(strip: _Strip, bottom: float) -> str:
    drawn = []
    for value in strip.scale.ticks(4, gap=0.2):
        x = strip.percent(value)
        drawn.append(svg.element("line", x1=x, x2=x, y1="4", y2=str(bottom), class_="grid"))
        anchor = "start" if strip.place(value) < 0.04 else "end" if strip.place(value) > 0.84 else "middle"
        drawn.append(svg.text(format_tick(value, "s"), x, bottom + 16, class_="tick", text_anchor=anchor))
    edge = f"{100 * _MAIN:g}%"
    drawn.append(svg.element("line", x1=edge, x2=edge, y1="4", y2=str(bottom), class_="edge"))
    drawn.append(svg.text("slower", "100%", bottom + 16, class_="tick", text_anchor="end"))
    return "".join(drawn)


def _band(row: Row, strip: _Strip, bottom: float) -> str:
    """The 95 % interval of the median behind all launches."""
    median = row.quantile("p50")
    if median.low is None or median.high is None:
        return ""
    width = f"{100 * max(strip.place(median.high) - strip.place(median.low), 0.002):.2f}%"
    return svg.element("rect", x=strip.percent(median.low), width=width, y="4", height=f"{bottom - 4}", class_="band")


def _launch_label(place: int, launch: Launch) -> str:
    y = 4 + (place + 0.5) * _ROW_HEIGHT + 4
    mark = "!" if launch.disturbed else ""
    return svg.text(f"{place + 1}{mark}", "-8", y, class_="tick", text_anchor="end")


def _beyond(found: Sequence[Launch], scale: svg.Scale) -> str:
    """The calls in the margin, in words."""
    slow = [value for launch in found for value in launch.values if value > scale.high]
    warm = [value for launch in found for value in launch.warmups if value > scale.high]
    if not slow and not warm:
        return ""
    parts = [formatting.plural(len(slow), "call")] * bool(slow) + [formatting.plural(len(warm), "warm-up")] * bool(warm)
    slowest = format_value(max(slow + warm), "s")
    return f"In the margin: {' and '.join(parts)}, the slowest {slowest}."
