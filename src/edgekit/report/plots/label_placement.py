"""Places the names of dots in a picture of unknown width: next to the dot, clear of dots and other names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# Widths in pixels that placing has in mind: a phone, and half of a wide page.
_WIDTHS: Final = (290.0, 520.0)
_LETTER: Final = 7.0
_LINE: Final = 14.0
_STEPS: Final = (0.0, -15.0, 15.0, -30.0, 30.0, -45.0, 45.0)

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True)
class Dot:
    """A dot with a name: `x` from 0 to 1 of the width, `y` and `radius` in pixels."""

    name: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Label:
    """Position of a name: `dx` pixels from its dot, reading away from it, centred at height `y`."""

    dx: float
    y: float

    @property
    def anchor(self) -> str:
        """The end of the text that is near the dot."""
        return "start" if self.dx > 0 else "end"


def place(dots: Sequence[Dot], height: float) -> list[Label]:
    """One label per dot, in order; each gets the position, of a few, that covers least of what is already drawn."""
    taken = {width: [_around(dot, width) for dot in dots] for width in _WIDTHS}
    labels = []
    for dot in dots:
        label = min(
            _candidates(dot, height), key=lambda one: sum(_cost(dot, one, width, taken[width]) for width in _WIDTHS)
        )
        labels.append(label)
        for width in _WIDTHS:
            taken[width].append(_box(dot, label, width))
    return labels


def _candidates(dot: Dot, height: float) -> Iterable[Label]:
    offset = dot.radius + 5
    for step in _STEPS:
        y = min(max(dot.y + step, _LINE / 2), height - _LINE / 2)
        yield from (Label(offset, y), Label(-offset, y))


def _cost(dot: Dot, label: Label, width: float, taken: Sequence[Box]) -> float:
    box = _box(dot, label, width)
    outside = max(-box[0], 0.0) + max(box[2] - width, 0.0)
    # The distance to the dot breaks ties: near is better, and so is the right-hand side.
    return sum(_overlap(box, other) for other in taken) + 10 * _LINE * outside + abs(label.y - dot.y)


def _box(dot: Dot, label: Label, width: float) -> Box:
    near = dot.x * width + label.dx
    far = near + (_LETTER if label.dx > 0 else -_LETTER) * len(dot.name)
    return min(near, far), label.y - _LINE / 2, max(near, far), label.y + _LINE / 2


def _around(dot: Dot, width: float) -> Box:
    x = dot.x * width
    return x - dot.radius, dot.y - dot.radius, x + dot.radius, dot.y + dot.radius


def _overlap(a: Box, b: Box) -> float:
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)
