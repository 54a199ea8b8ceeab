"""A bisection for people: the error of every tensor from inputs to outputs, as text and as a picture."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape
from typing import Final

from edgekit.core.reports.bisect import Aligned, BisectReport
from edgekit.report import formatting

# Errors from one millionth of a per cent to all of the signal: eight powers of ten.
_DECADES: Final = 8
_BAR: Final = 16
_NAME: Final = 24
_SHOWN: Final = 40
_ROW: Final = 18
_LEFT: Final = 260
_WIDTH: Final = 720


def render_text(found: BisectReport) -> str:
    """The findings first, then one row per tensor; 80 columns."""
    return "\n".join([*findings(found), "", *_rows(found)]).rstrip() + "\n"


def findings(found: BisectReport) -> Iterator[str]:
    """The findings, one sentence per line."""
    a, b = formatting.clean(found.a), formatting.clean(found.b)
    if found.refused is not None:
        one = found.refused
        yield f"'{one.side}' cannot run case '{found.case}': it stops at '{one.tensor}' ({one.operator})."
        yield f"  {formatting.clean(one.reason)}"
        yield from _weights(one.weights)
        return
    runs = formatting.plural(found.runs, "run")
    yield f"{a} against {b} on case '{found.case}', {runs}: {formatting.plural(len(found.aligned), 'tensor')} aligned."
    for name, share in found.narrow.items():
        yield f"'{formatting.clean(name)}' uses {100 * share:.1f} % of its int8 values: its scale is far too large."
    if found.first is None or found.aligned[found.first].is_within:
        yield "All tensors are within the tolerance."
    else:
        yield from _first(found, found.aligned[found.first])
    if found.most is not None:
        most = found.aligned[found.most]
        yield f"'{most.a}' ({_operators(most)}{_module(most)}) adds the most error: {_percent(most.added)}."


def render_svg(found: BisectReport) -> str:
    """The error of every tensor as a bar, inputs on top, as a complete SVG file."""
    height = 40 + _ROW * len(found.aligned)
    bars = [_svg_row(found, place) for place in range(len(found.aligned))]
    title = f"{found.a} against {found.b}, case {found.case}: relative error of each tensor, 1e-8 to 1"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12"><title>{escape(title)}</title>'
        f'<text x="8" y="20">{escape(formatting.clean(title))}</text>{"".join(bars)}</svg>\n'
    )


def _svg_row(found: BisectReport, place: int) -> str:
    one = found.aligned[place]
    y = 36 + _ROW * place
    width = max(1, round(_share(one.error) * (_WIDTH - _LEFT - 90)))
    colour = "#2a6fb0" if one.is_within else "#c0392b"
    name = formatting.shortened(f"{one.a} {one.operator_a}", 40)
    return (
        f'<text x="{_LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LEFT}" y="{y}" width="{width}" height="{_ROW - 5}" fill="{colour}"/>'
        f'<text x="{_LEFT + width + 6}" y="{y + 11}">{one.error:.1e}</text>'
    )


def _first(found: BisectReport, one: Aligned) -> Iterator[str]:
    yield f"The first tensor out of tolerance is '{one.a}' ({_operators(one)}{_module(one)}), in B '{one.b}':"
    if one.kind == "sqnr":
        value = "unknown" if one.value is None else f"{one.value:.1f} dB"
        yield f"  SQNR {value}, required at least {one.limit:g} dB; relative error {_percent(one.error)}."
    else:
        value = "unknown" if one.value is None else f"{one.value:.2g} of its range"
        yield f"  Largest difference {value}, limit {one.limit:g}; relative error {_percent(one.error)}."
    yield from _weights(one.weights)
    if found.missing:
        names = ", ".join(f"'{name}'" for name in found.missing)
        yield f"  Right before it, '{found.a}' computes {names}; '{found.b}' does not."


def _weights(names: tuple[str, ...]) -> Iterator[str]:
    if names:
        yield f"  It reads {', '.join(formatting.clean(name) for name in names[:4])}."


def _rows(found: BisectReport) -> Iterator[str]:
    if not found.aligned:
        return
    yield f"{'tensor':{_NAME}}  {'operator':18}  {'error':>7}  1e-8 .. 1"
    shown = _places(found)
    before = -1
    for place in shown:
        if place > before + 1:
            yield f"  ... {formatting.plural(place - before - 1, 'tensor')}"
        yield _row(found, place)
        before = place
    if before + 1 < len(found.aligned):
        yield f"  ... {formatting.plural(len(found.aligned) - before - 1, 'tensor')}"
    yield f"Tensors without a counterpart: {found.only_a} in A, {found.only_b} in B."


def _row(found: BisectReport, place: int) -> str:
    one = found.aligned[place]
    name, operator = formatting.shortened(one.a, _NAME), formatting.shortened(one.operator_a, 18)
    bar = "█" * round(_BAR * _share(one.error))
    mark = " < first" if place == found.first else " < most" if place == found.most else ""
    return f"{name:{_NAME}}  {operator:18}  {one.error:7.1e}  {bar}{mark}".rstrip()


def _places(found: BisectReport) -> list[int]:
    """All tensors, or those near the important ones and a few of the others."""
    count = len(found.aligned)
    if count <= _SHOWN:
        return list(range(count))
    near = {place + step for place in (found.first, found.most) if place is not None for step in range(-4, 5)}
    spread = {round(index * (count - 1) / 20) for index in range(21)}
    return sorted(place for place in near | spread if 0 <= place < count)


def _share(error: float) -> float:
    """The position of an error on the scale from 1e-8 (0) to the whole signal (1)."""
    return 0.0 if error <= 0 else min(max(1 + math.log10(error) / _DECADES, 0.0), 1.0)


def _operators(one: Aligned) -> str:
    return one.operator_a if one.operator_a == one.operator_b else f"{one.operator_a}, in B {one.operator_b}"


def _module(one: Aligned) -> str:
    return f", module {formatting.clean(one.module)}" if one.module else ""


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
