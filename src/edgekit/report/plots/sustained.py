"""Sustained load in words and as a picture: latency over time."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from edgekit.core.reports.sustained import Sustained
from edgekit.core.units import format_tick, format_value
from edgekit.report import formatting
from edgekit.report.plots import svg
from edgekit.report.plots.latency import Picture, colour

_HEIGHT: Final = 180


def sentence(found: Sustained) -> str:
    """The effect of the load, in one sentence: `8.3 µs at first, 10.9 µs at the end: +32 % (+20 to +44 %).`"""
    quarter = max(len(found.points) // 4, 1)
    first, last = (
        format_value(median(point.median_s for point in part), "s")
        for part in (found.points[:quarter], found.points[-quarter:])
    )
    parts = [f"{first} at first, {last} at the end: {_change(found)}", *_heat(found)]
    if found.throttled_s is not None:
        parts.append(f"throttled after {format_value(found.throttled_s, 's')}")
    return "; ".join(parts)


def picture(found: Sustained, names: Sequence[str], key: str) -> Picture | None:
    """The median of every launch over time; None with a single launch."""
    if len(found.points) < 2:
        return None
    times = svg.Scale(0.0, found.points[-1].elapsed_s, is_log=False)
    levels = svg.Scale.around([point.median_s for point in found.points], is_log=False, margin=0.15)
    bottom = _HEIGHT - 26
    drawn = [
        (svg.SIDE * times.place(point.elapsed_s), svg.SIDE * (1 - levels.place(point.median_s)))
        for point in found.points
    ]
    body = (
        svg.y_axis([(6 + (bottom - 6) * (1 - levels.place(one)), format_tick(one, "s")) for one in levels.ticks(3)]),
        svg.x_axis(times, "s", top=6, bottom=bottom),
        svg.stretched(svg.line(drawn, f"curve c{colour(names, found.artifact)}"), y=6, height=bottom - 6),
    )
    sizes = f", {formatting.sizes(found.sizes)}" if found.sizes else ""
    title = f"{found.artifact} on {found.target}{sizes}"
    markup = svg.picture(body, height=_HEIGHT, title=title, description=sentence(found), key=key)
    return Picture(title, f"{sentence(found)}.", markup)


def _change(found: Sustained) -> str:
    if found.change is None or found.low is None or found.high is None:
        return found.reason
    value, low, high = (f"{100 * one:+.1f} %" for one in (found.change, found.low, found.high))
    return f"{value} ({low} to {high})"


def _heat(found: Sustained) -> list[str]:
    """Temperature and clock at both ends, if the device reports them."""
    known = [point.temperature_c for point in found.points if point.temperature_c is not None]
    clocks = [point.clock_hz for point in found.points if point.clock_hz is not None]
    parts = [f"{known[0]:.0f} to {known[-1]:.0f} °C"] if known else ["temperature unknown"]
    if clocks and abs(clocks[-1] / clocks[0] - 1) > 0.01:
        parts.append(f"{clocks[0] / 1e9:.2f} to {clocks[-1] / 1e9:.2f} GHz")
    return parts
