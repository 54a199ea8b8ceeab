"""The slowest operators of an artifact as bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from edgekit.core.reports.report import Operators
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting, operator_times
from edgekit.report.plots import svg
from edgekit.report.plots.latency import Picture

_MOST: Final = 12
# Of a phone's width, what is left next to the figures on the right.
_LETTERS: Final = 30
_ROW: Final = 34
_BAR: Final = 9


@dataclass(frozen=True)
class _Bar:
    """One row: what it is, and its share of the time of all operators."""

    name: str
    seconds: float
    share: float


def scale_of(found: Iterable[Operators]) -> svg.Scale:
    """Shares from zero to the largest bar of all pictures, so that they can be compared."""
    largest = max((bar.share for one in found for bar in _bars(one)), default=1.0)
    return svg.Scale(0.0, largest * 1.02, is_log=False)


def picture(found: Operators, scale: svg.Scale, colour: int, words: str, key: str) -> Picture:
    """The slowest operators, each with its name in the graph, then all others together; `found` has at least one.

    `words` say how long all of them take.
    """
    bars = _bars(found)
    bottom = len(bars) * _ROW + 6
    sizes = f", {formatting.sizes(found.sizes)}" if found.sizes else ""
    title = f"{found.artifact} on {found.target}{sizes}"
    body = (svg.x_axis(scale, "ratio", top=4, bottom=bottom), *_drawn(bars, scale, colour))
    said = "; ".join(f"{bar.name}: {_figures(bar)}" for bar in bars)
    markup = svg.picture(body, height=bottom + 24, title=f"Operators of {title}", description=said, key=key)
    count = formatting.plural(len(found.times), "operator")
    return Picture(title, f"{count}, {words}. The bars are shares of the whole, the slowest first.", markup)


def _bars(found: Operators) -> list[_Bar]:
    shown = operator_times.slowest(found, _MOST)
    bars = [_Bar(f"{one.kind} {one.name}", one.seconds, one.share) for one in shown]
    others = len(found.times) - len(shown)
    if others:
        rest = found.seconds - sum(one.seconds for one in shown)
        bars.append(_Bar(formatting.plural(others, "other"), rest, rest / found.seconds if found.seconds else 0.0))
    return bars


def _drawn(bars: Sequence[_Bar], scale: svg.Scale, colour: int) -> Iterable[str]:
    for place, bar in enumerate(bars):
        top = place * _ROW + 6
        parts = (
            svg.element("title", svg.escaped(f"{bar.name}: {_figures(bar)}")),
            svg.text(formatting.shortened(bar.name, _LETTERS), "0", top + 11, class_="name"),
            svg.text(_figures(bar), "100%", top + 11, class_="tick", text_anchor="end"),
            svg.element(
                "rect", x="0", y=str(top + 16), width=scale.percent(bar.share), height=str(_BAR), class_=f"f{colour}"
            ),
        )
        yield svg.element("g", *parts)


def _figures(bar: _Bar) -> str:
    return f"{format_value(bar.seconds, 's')}, {format_tick(round(bar.share, 3), 'ratio')}"
