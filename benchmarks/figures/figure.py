"""A figure that has a goal: what it is, how much is allowed, and which benchmark measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHORT_MINUTES: Final = 12.0
DATA: Final = "{data}"


@dataclass(frozen=True)
class Benchmark:
    """A module with its arguments, as `python -m` takes them; `{data}` is the folder of data sets.

    `minutes` is about how long it takes on two cores. What takes longer than twelve is a campaign: `make bench` leaves
    it out and shows the rows that it left.
    """

    command: str
    minutes: float

    @property
    def is_short(self) -> bool:
        return self.minutes <= SHORT_MINUTES

    @property
    def needs_data(self) -> bool:
        return DATA in self.command


@dataclass(frozen=True)
class Figure:
    """One figure and its goal: at most so much, or at least so much.

    `key` is its name in rows, in the table and in docs/performance.md; `what` says the same in words. Without a
    benchmark nothing measures it yet.
    """

    key: str
    what: str
    goal: float
    unit: str
    benchmark: Benchmark | None
    is_least: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a value, in the unit of the figure, reaches the goal."""
        return value >= self.goal if self.is_least else value <= self.goal

    @property
    def limit(self) -> str:
        """The goal with its direction, e.g. `<= 1.25x`."""
        return f"{'>=' if self.is_least else '<='} {self.shown(self.goal)}"

    def shown(self, value: float) -> str:
        """A value with its unit: four digits at most, and never rounded to the goal from its wrong side."""
        texts = (f"{value:,.{digits}f}" for digits in (*range(_digits(value), 4), 6))
        met = self.is_met(value)
        text = next((one for one in texts if self.is_met(float(one.replace(",", ""))) == met), f"{value:.9g}")
        blank = "" if self.unit in ("", "x") else " "
        return f"{text}{blank}{self.unit}"


def _digits(value: float) -> int:
    """Digits behind the point: none for whole numbers and from 100 on."""
    if value == int(value) or abs(value) >= 100:
        return 0
    return 1 if abs(value) >= 20 else 2
