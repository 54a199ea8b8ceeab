"""Sustained load: how latency, clock and temperature change over minutes of work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.core.statistics.intervals import Interval, ratio_interval

# Fewer points give no interval at either end.
MIN_POINTS: Final = 12


class SustainedPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One launch under sustained load: when it ended, what it measured, and the state of the device then.

    Times in seconds; `elapsed_s` is the time since the load started.
    """

    elapsed_s: float
    median_s: float
    calls: int
    temperature_c: float | None = None
    clock_hz: float | None = None
    throttled: bool | None = None


class Sustained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One artifact under load on one target; `low` to `high` is the 95 % interval of `change`.

    `change` compares the last quarter of the time with the first: 0.1 if calls are 10 % slower at the end. Null with
    fewer than 12 points, with the reason.
    """

    target: str
    artifact: str
    sizes: dict[str, int]
    points: tuple[SustainedPoint, ...]
    change: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""

    @property
    def throttled_s(self) -> float | None:
        """When the device was first throttled; None if it never was, or does not report it."""
        return next((point.elapsed_s for point in self.points if point.throttled), None)


def change(points: Sequence[SustainedPoint]) -> Interval | None:
    """Relative change of the last quarter of the points against the first, by Welch's t on logs; None if too few."""
    if len(points) < MIN_POINTS:
        return None
    quarter = math.ceil(len(points) / 4)
    medians = [point.median_s for point in points]
    ratio = ratio_interval(medians[:quarter], medians[-quarter:], paired=False)
    return Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1, quarter)
