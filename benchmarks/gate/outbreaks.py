"""Nightly series of several devices, replayed: how many alarms become how many events, and of what cause.

    python -m benchmarks.gate.outbreaks FOLDER    # the same series as benchmarks.gate.nights

A series is judged against its nights within the level, with its next nights as re-runs, as `edgekit check` does. A
level that stays is accepted after two weeks. Events of different nights are one outbreak while they share a series.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures.figure_rows import record

from edgekit.core.statistics.events import Event, Night, SeriesKey, judge_many
from edgekit.core.statistics.nightly import RERUNS, judge

FIRST, ACCEPTED, PAUSE = 40, 14, 3
# A regression of tract that was introduced on this day and reverted 20 nights later.
REGRESSION, LASTED = datetime.date(2026, 5, 22).toordinal(), 20


@dataclass
class Recorded:
    """A series: its first day, a value or None per day, the nights within its level, and those since it left it."""

    start: int
    values: list[float | None]
    level: list[float] = field(default_factory=list)
    slower: list[float] = field(default_factory=list)

    def night(self, day: int) -> Night | None:
        """Tonight, None where nothing was measured or the series is too young."""
        place = day - self.start
        value = self.values[place] if 0 <= place < len(self.values) else None
        if value is None or value <= 0:
            return None
        if len(self.level) < FIRST:
            self.level.append(value)
            return None
        future = [one for one in self.values[place : place + 4 * RERUNS] if one][: RERUNS + 1]
        tried = (future[: count + 1] for count in range(len(future)))
        decided = next((some for some in tried if not judge(self.level, some).rerun), future)
        night = Night(list(self.level[-120:]), decided)
        self._record(value, is_slower=judge(*night).outcome == "regressed")
        return night

    def _record(self, value: float, *, is_slower: bool) -> None:
        self.slower = [*self.slower, value] if is_slower else []
        if len(self.slower) > ACCEPTED:
            self.level, self.slower = self.level + self.slower, []
        elif not is_slower:
            self.level.append(value)


@dataclass
class Outbreak:
    """Events of successive nights that share a series."""

    first: int
    last: int
    events: list[Event]

    @property
    def series(self) -> set[str]:
        return {series for event in self.events for series in event.series}


def recorded(folder: Path) -> dict[SeriesKey, Recorded]:
    """Every series of at least 120 values, by model and device."""
    found = {}
    for path in sorted(folder.glob("*.json.gz")):
        data = json.loads(gzip.decompress(path.read_bytes()))
        start = datetime.date.fromisoformat(data["start_day"]).toordinal()
        for name, values in data["series"].items():
            if sum(bool(value) for value in values) >= 120:
                found[SeriesKey(name, f"{data['device']} {data['build']}")] = Recorded(start, values)
    return found


def nightly_events(series: dict[SeriesKey, Recorded]) -> Iterator[tuple[int, tuple[Event, ...]]]:
    """The events of every night, oldest first."""
    first = min(one.start for one in series.values())
    last = max(one.start + len(one.values) for one in series.values())
    for day in range(first, last):
        found = {key: one.night(day) for key, one in series.items()}
        yield day, judge_many({key: night for key, night in found.items() if night is not None})


def outbreaks(series: dict[SeriesKey, Recorded]) -> list[Outbreak]:
    """All events, those of successive nights that share a series put together."""
    found: list[Outbreak] = []
    for day, events in nightly_events(series):
        for event in events:
            same = [one for one in found if one.last >= day - PAUSE and one.series & set(event.series)]
            if same:
                same[0].last = day
                same[0].events.append(event)
            else:
                found.append(Outbreak(day, day, [event]))
    return found


def main() -> None:
    """Print how many alarms became how many outbreaks, and the largest of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    found = outbreaks(recorded(folder))
    alarms = sum(len(event.series) for one in found for event in one.events)
    print(f"{alarms:,} series that were slower on a night, {len(found)} groups of events")
    for one in sorted(found, key=lambda one: -sum(len(event.series) for event in one.events))[:10]:
        causes = Counter(event.cause for event in one.events)
        nights = one.last - one.first + 1
        start = datetime.date.fromordinal(one.first)
        count = sum(len(event.series) for event in one.events)
        print(f"{start}  {nights} nights, {count} alarms in {len(one.series)} series: {dict(causes)}")
    causes_by_night = regression_causes(recorded(folder))
    record("gate.one_event", causes_by_night.count(["code"]), causes=causes_by_night)


def regression_causes(series: dict[SeriesKey, Recorded]) -> list[list[str]]:
    """The causes of the events in each night of the regression that was reverted."""
    nights = range(REGRESSION, REGRESSION + LASTED)
    return [[event.cause for event in events] for day, events in nightly_events(series) if day in nights]


if __name__ == "__main__":
    main()
