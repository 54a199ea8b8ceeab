"""Sustained load: how latency changes over minutes of work, beside the clock and the temperature of the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from edgekit.core.statistics.intervals import Interval, ratio_interval

# Fewer points give no interval at either end.
MIN_POINTS: Final = 12


class SustainedPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One launch of a sustained load: when it ended, what it measured, and what the device was like then.

    Times in seconds; `elapsed_s` counts from the beginning of the load.
    """

    elapsed_s: float
    median_s: float
    calls: int
    temperature_c: float | None = None
    clock_hz: float | None = None
    throttled: bool | None = None


class Sustained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One artifact under load on one target; `low` to `high` is the 95 % interval of `change`.

    `change` is the last quarter of the time against the first: 0.1 where calls are 10 % slower at the end. Null with
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
        """When the device was first throttled; None where it never was, or does not tell."""
        return next((point.elapsed_s for point in self.points if point.throttled), None)


def change(points: Sequence[SustainedPoint]) -> Interval | None:
    """Relative change of the last quarter of the points against the first, by Welch's t on logs; None for too few."""
    if len(points) < MIN_POINTS:
        return None
    quarter = math.ceil(len(points) / 4)
    medians = [point.median_s for point in points]
    ratio = ratio_interval(medians[:quarter], medians[-quarter:], paired=False)
    return Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1, quarter)
