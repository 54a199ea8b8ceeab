"""Small SVG: elements, scales and paths. Text keeps its size at every width, because only the data is stretched."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from edgekit.core.units import format_tick
from edgekit.report.formatting import clean

# Data lives in a square of this many units, which `stretched` maps onto whatever room there is.
SIDE: Final = 1000
_MAX_TICKS: Final = 20
Point = tuple[float, float]


def element(name: str, *children: str, **attributes: object) -> str:
    """One element. Children are markup; attribute values are escaped; `class_` is `class`, and `_` becomes `-`."""
    pairs = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(clean(str(value)), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{pairs}>{''.join(children)}</{name}>" if children else f"<{name}{pairs}/>"


def escaped(content: str) -> str:
    """Text as the content of an element."""
    return escape(clean(content))


def text(content: str, x: str, y: float, **attributes: object) -> str:
    """A label at `x` (a percentage of the width) and `y` (pixels)."""
    return element("text", escaped(content), x=x, y=_short(y), **attributes)


def picture(body: Iterable[str], *, height: int, title: str, description: str, key: str) -> str:
    """A whole picture, `height` pixels high, with title and description for screen readers; `key` is unique.

    Links inside of an image are not reached, so that a picture with links is a group.
    """
    name, text_id = f"{key}-title", f"{key}-desc"
    parts = tuple(body)
    return element(
        "svg",
        element("title", escaped(title), id=name),
        element("desc", escaped(description), id=text_id),
        *parts,
        class_="plot",
        role="group" if any("<a " in part for part in parts) else "img",
        width="100%",
        height=height,
        aria_labelledby=f"{name} {text_id}",
    )


def stretched(*children: str, y: float, height: float) -> str:
    """A region across the whole width in which data coordinates run from 0 to `SIDE`, y downwards."""
    box = f"0 0 {SIDE} {SIDE}"
    size = {"y": _short(y), "width": "100%", "height": _short(height)}
    return element("svg", *children, viewBox=box, preserveAspectRatio="none", **size)


def dots(points: Iterable[Point], css: str) -> str:
    """Round dots: strokes of no length, so that one path holds them all. Dots that coincide are drawn once."""
    places = sorted({(round(x), round(y)) for x, y in points}, key=lambda place: (place[1], place[0]))
    return element("path", d="".join(f"M{x} {y}h0" for x, y in places), class_=css) if places else ""


def line(points: Sequence[Point], css: str) -> str:
    """A line through `points`."""
    return element("path", d="M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points), class_=css)


def steps(points: Sequence[Point], css: str) -> str:
    """A staircase that goes across first, then up or down; steps below one unit are merged."""
    x, y = (round(part) for part in points[0])
    drawn = f"M{x} {y}"
    for next_x, next_y in ((round(a), round(b)) for a, b in points[1:]):
        if next_x != x:
            drawn += f"h{next_x - x}"
        if next_y != y:
            drawn += f"v{next_y - y}"
        x, y = next_x, next_y
    return element("path", d=drawn, class_=css)


@dataclass(frozen=True)
class Scale:
    """A range of values on an axis, logarithmic or linear."""

    low: float
    high: float
    is_log: bool = True

    @classmethod
    def around(cls, values: Iterable[float], *, is_log: bool = True, margin: float = 0.06) -> Scale:
        """The range that covers `values` with a margin on both sides; of one value, a tenth around it."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not is_log)]
        low, high = (min(known), max(known)) if known else (1.0, 10.0)
        if is_log:
            wider = max((high / low) ** margin, 1.01)
            return cls(low / wider, high * wider)
        wider = max((high - low) * margin, abs(high) * 1e-3, 1e-9)
        return cls(low - wider, high + wider, is_log=False)

    def place(self, value: float) -> float:
        """The position of `value`, from 0 (low) to 1 (high); values outside are at the edge."""
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def percent(self, value: float) -> str:
        """`place` as a percentage for attributes."""
        return f"{_short(100 * self.place(value))}%"

    def ticks(self, most: int = 5, gap: float = 0.17) -> list[float]:
        """Round values within the range: as many as fit, at most `most`, their places at least `gap` apart."""
        fitting = [found for found in self._candidates() if len(found) <= most and self._are_apart(found, gap)]
        return max(fitting, key=len, default=[])

    def _candidates(self) -> Iterable[list[float]]:
        power = 10.0 ** math.floor(math.log10(self.high - self.low))
        for step in (power / 10, power / 5, power / 4, power / 2, power, 2 * power, 2.5 * power, 5 * power):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < _MAX_TICKS:
                yield [index * step for index in range(first, last + 1)]
        if self.is_log:
            yield from _decades(self.low, self.high)

    def _are_apart(self, values: Sequence[float], gap: float) -> bool:
        places = [self.place(value) for value in values]
        return all(after - before >= gap for before, after in itertools.pairwise(places))


def x_axis(scale: Scale, unit: str, *, top: float, bottom: float) -> str:
    """Vertical grid lines from `top` to `bottom` (pixels) with their values below."""
    drawn = []
    for value in scale.ticks():
        x = scale.percent(value)
        drawn.append(element("line", x1=x, x2=x, y1=_short(top), y2=_short(bottom), class_="grid"))
        drawn.append(
            text(format_tick(value, unit), x, bottom + 16, class_="tick", text_anchor=anchor(scale.place(value)))
        )
    return "".join(drawn)


def y_axis(ticks: Iterable[tuple[float, str]]) -> str:
    """Horizontal grid lines at pixel heights with a label left of each; the page has a margin there."""
    drawn = []
    for y, label in ticks:
        drawn.append(element("line", x1="0", x2="100%", y1=_short(y), y2=_short(y), class_="grid"))
        drawn.append(text(label, "-8", y + 4, class_="tick", text_anchor="end"))
    return "".join(drawn)


def anchor(place: float) -> str:
    """How a label at `place`, from 0 to 1 of the width, is aligned so that it stays inside."""
    return "start" if place < 0.03 else "end" if place > 0.97 else "middle"


def _decades(low: float, high: float) -> Iterable[list[float]]:
    """1, 2 and 5, or 1 and 3, or 1 alone, times powers of ten within the range; then fewer and fewer powers."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        yield [factor * 10.0**power for power in exponents for factor in factors if low <= factor * 10.0**power <= high]
    for stride in range(2, len(exponents)):
        yield [10.0**power for power in exponents[::stride] if low <= 10.0**power <= high]


def _short(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".") or "0"
