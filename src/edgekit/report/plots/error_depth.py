"""The error of every tensor of a bisection, from the inputs to the outputs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from edgekit.core.reports.bisect import Aligned, BisectReport
from edgekit.report import formatting
from edgekit.report.plots import svg
from edgekit.report.plots.latency import Picture

# Below that, an error is rounding in float32, whatever its size.
FLOOR_DB: Final = -160.0
_STEP_DB: Final = 20.0
_HEIGHT: Final = 276
_TOP: Final = 38
_BOTTOM: Final = _HEIGHT - 42
_MOST_TICKS: Final = 8
_LETTERS: Final = 30


def decibels(share: float) -> float:
    """An error as a share of the signal in dB: 0 is as large as the signal, at least `FLOOR_DB`."""
    return max(20 * math.log10(share), FLOOR_DB) if share > 0 else FLOOR_DB


def picture(found: BisectReport, key: str) -> Picture | None:
    """Error in dB over the position of the tensor; None without tensors."""
    aligned = found.aligned
    if not aligned:
        return None
    scale = _scale(aligned)
    body = (
        svg.y_axis([(_height(scale, value), f"{value:g}".replace("-", "\u2212")) for value in _levels(scale)]),
        _positions(len(aligned)),
        svg.stretched(*_curves(aligned, scale), y=_TOP, height=_BOTTOM - _TOP),
        *_marks(found, scale),
    )
    title = f"Error by depth of {found.b} against {found.a}"
    said = "; ".join(f"{one.a}: {decibels(one.error):.0f} dB" for one in aligned)
    markup = svg.picture(body, height=_HEIGHT, title=title, description=said, key=key)
    limit = " The dashed line is the limit." if any(one.kind == "sqnr" for one in aligned) else ""
    caption = (
        "Vertical: error relative to the signal in dB; at 0 dB it is as large as the signal, and 20 dB more are ten "
        f"times the error. Horizontal: the position of the tensor, from the inputs to the outputs.{limit}"
    )
    return Picture("Error by depth", caption, markup)


def _scale(aligned: Sequence[Aligned]) -> svg.Scale:
    """Whole steps around all errors and limits."""
    values = [decibels(one.error) for one in aligned] + [-one.limit for one in aligned if one.kind == "sqnr"]
    low = _STEP_DB * math.floor(min(values) / _STEP_DB)
    high = _STEP_DB * math.ceil(max(values) / _STEP_DB)
    return svg.Scale(low, max(high, low + 2 * _STEP_DB), is_log=False)


def _levels(scale: svg.Scale) -> list[float]:
    step = _STEP_DB * math.ceil((scale.high - scale.low) / _STEP_DB / _MOST_TICKS)
    return [scale.high - place * step for place in range(int((scale.high - scale.low) / step) + 1)]


def _height(scale: svg.Scale, value: float) -> float:
    return _TOP + (1 - scale.place(value)) * (_BOTTOM - _TOP)


def _across(place: int, count: int) -> float:
    """From 0 to 1, with half a step left at both ends."""
    return (place + 0.5) / count


def _positions(count: int) -> str:
    step = max(-(-count // _MOST_TICKS), 1)
    drawn = [
        svg.text(
            str(place + 1), f"{100 * _across(place, count):.2f}%", _BOTTOM + 16, class_="tick", text_anchor="middle"
        )
        for place in range(0, count, step)
    ]
    drawn.append(svg.text("inputs", "0", _BOTTOM + 33, class_="tick"))
    drawn.append(svg.text("outputs", "100%", _BOTTOM + 33, class_="tick", text_anchor="end"))
    return "".join(drawn)


def _curves(aligned: Sequence[Aligned], scale: svg.Scale) -> list[str]:
    count = len(aligned)
    points = [
        (svg.SIDE * _across(place, count), svg.SIDE * (1 - scale.place(decibels(one.error))))
        for place, one in enumerate(aligned)
    ]
    within = [point for point, one in zip(points, aligned, strict=True) if one.is_within]
    beyond = [point for point, one in zip(points, aligned, strict=True) if not one.is_within]
    return [
        *_limits(aligned, scale),
        *([svg.line(points, "curve c0")] if count > 1 else []),
        svg.dots(within, "dots whole c0"),
        svg.dots(beyond, "dots whole beyond"),
    ]


def _limits(aligned: Sequence[Aligned], scale: svg.Scale) -> list[str]:
    """A dashed line per run of tensors with one limit in dB; other limits have another unit."""
    drawn = []
    numbered = enumerate(aligned)
    for (kind, limit), group in groupby(numbered, key=lambda pair: (pair[1].kind, pair[1].limit)):
        places = [place for place, _ in group]
        if kind == "sqnr":
            y = svg.SIDE * (1 - scale.place(-limit))
            ends = places[0] / len(aligned), (places[-1] + 1) / len(aligned)
            drawn.append(svg.line([(svg.SIDE * ends[0], y), (svg.SIDE * ends[1], y)], "front"))
    return drawn


def _marks(found: BisectReport, scale: svg.Scale) -> list[str]:
    """The names of the first tensor out of tolerance and of the one that adds most, above their place."""
    first, most = found.first, found.most
    drawn = []
    for place, word in dict.fromkeys([(first, "first"), (most, "most error")]):
        if place is None or (place == first and word != "first"):
            continue
        share = _across(place, len(found.aligned))
        x = f"{100 * share:.2f}%"
        name = formatting.shortened(f"{word}: {found.aligned[place].a}", _LETTERS)
        top = 12 if word == "first" else 28
        drawn.append(svg.element("line", x1=x, x2=x, y1=str(top - 10), y2=str(_BOTTOM), class_="edge"))
        side = {"text_anchor": "start", "dx": "5"} if share < 0.5 else {"text_anchor": "end", "dx": "-5"}
        drawn.append(svg.text(name, x, top, class_="name", **side))
    return drawn
