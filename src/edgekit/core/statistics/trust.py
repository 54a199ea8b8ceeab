"""Trust: how far a latency can be relied on, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import numpy as np

from edgekit.core.facts import Facts
from edgekit.core.measurement import Measurement, Trust
from edgekit.core.statistics.intervals import MIN_LAUNCHES, launch_interval, launch_quantiles, supported
from edgekit.core.statistics.steady import common_drift, drift

MAX_RELATIVE_WIDTH: Final = 0.03
MAX_CLOCK_CHANGE: Final = 0.02
MAX_WARMING_C: Final = 5.0
MAX_DRIFT: Final = 0.01
MODES_APART: Final = 0.05
# Of the range of the medians. Of simulated launches of one kind that spread by 5 %, 2.6 % look like two kinds with 6
# launches and 0.1 % with 10; of those of two kinds 15 % apart, more than 97 % are seen.
MODES_SHARE: Final = 0.6
# Of a quiet device p99 is 1.1 to 3 times the median, also for calls of 10 µs.
MAX_TAIL: Final = 10.0
_DISTURBED: Final = 0.25
_AGAINST_OTHERS: Final = "Stop other work on the device."
_AGAINST_DRIFT: Final = "--time-limit 5s, after the device has cooled"


def grade(measurement: Measurement, before: Facts, after: Facts, during: Sequence[Facts] = ()) -> Trust:
    """A without a reason for doubt, B with one, C (indicative only) with more, E if emulated.

    A drift alone gives C: durations that drift have no level.

    Args:
        measurement: Latency launches.
        before: Facts of the device before the first launch.
        after: Facts after the last one.
        during: Facts before and after each launch, as far as they were read.
    """
    if measurement.emulated:
        return Trust("E", ("emulated: not the latency of a device",), "Measure on a real device.")
    drifting = _drift_reasons(measurement)
    busy = [(reason, _AGAINST_OTHERS) for reason in disturbances(measurement, before)]
    found = [*drifting, *_sample_reasons(measurement), *busy, *_device_reasons(before, after, during)]
    reasons = tuple(reason for reason, _ in found)
    return Trust("C" if drifting else "ABC"[min(len(found), 2)], reasons, found[0][1] if found else "")


def disturbances(measurement: Measurement, before: Facts) -> tuple[str, ...]:
    """The evidence that other programs used the processor; empty without. Grades and causes are judged by it alike.

    Args:
        measurement: Latency launches; those that were repeated count from a quarter of all.
        before: Facts of the device before the first launch.
    """
    return (*_disturbed_launches(measurement), *_load(before), *_tail(measurement))


def _disturbed_launches(measurement: Measurement) -> Iterator[str]:
    repeated = sum(launch.disturbed for launch in measurement.launches)
    kept = sum(launch.disturbed for launch in measurement.counted)
    if kept or (repeated and repeated >= _DISTURBED * len(measurement.launches)):
        notes = dict.fromkeys(note for one in measurement.launches if one.disturbed for note in one.notes)
        told = [note for note in notes if "context switches" in note][:2]
        seen = f": {'; '.join(told)}" if told else ""
        yield f"{repeated} of {len(measurement.launches)} launches were disturbed{seen}"


def _load(before: Facts) -> Iterator[str]:
    if before.load is not None and before.cores and before.load >= before.cores:
        cores = "1 core" if before.cores == 1 else f"{before.cores} cores"
        yield f"the load average was {before.load:.1f} on {cores} before the first launch"


def _tail(measurement: Measurement) -> Iterator[str]:
    values = np.concatenate([np.empty(0), *map(np.asarray, measurement.launch_values)])
    if not supported(0.99, len(values)):
        return
    middle, high = np.quantile(values, (0.5, 0.99))
    if high > MAX_TAIL * middle:
        yield f"one call in a hundred takes {high / middle:.0f} times the median or longer"


def drift_of(measurement: Measurement) -> float:
    """Relative change per 100 calls that the counted launches have in common; 0.0 if none is shown."""
    if not measurement.counted:
        return 0.0
    calls = median(len(launch.warmups) + len(launch.values) for launch in measurement.counted)
    return common_drift(measurement.launch_values, calls)


def told_drift(change: float) -> str:
    """A drift in words; `change` is the relative change per 100 calls."""
    return f"the launches drift: {abs(100 * change):.1f} % {'slower' if change > 0 else 'faster'} per 100 calls"


def _drift_reasons(measurement: Measurement) -> list[tuple[str, str]]:
    change = drift_of(measurement)
    return [(told_drift(change), _AGAINST_DRIFT)] if change else []


def _sample_reasons(measurement: Measurement) -> list[tuple[str, str]]:
    """(reason, what would remove it) of what the values themselves show."""
    launches = measurement.counted
    if len(launches) < MIN_LAUNCHES:
        return [(f"{len(launches)} launches; an interval needs {MIN_LAUNCHES}", "--launches 8")]
    medians = launch_quantiles(measurement.launch_values, 0.5)
    if medians is None:
        return [("too few values per launch", "--time-limit 2s")]
    reasons = []
    interval = launch_interval(medians)
    width = (interval.high - interval.low) / 2 / interval.value
    if width > MAX_RELATIVE_WIDTH:
        reasons.append((f"the median is only known to ±{100 * width:.1f} %", "--launches 12, on a quieter machine"))
    if has_two_modes(medians):
        low, high = min(medians), max(medians)
        reasons.append((f"launches form two groups, {100 * (high / low - 1):.0f} % apart", "--launches 12"))
    drifting = sum(_drifts(launch.values) for launch in launches)
    if drifting > len(launches) // 2 and not drift_of(measurement):
        reasons.append((f"{drifting} of {len(launches)} launches drift, in different directions", _AGAINST_DRIFT))
    return reasons


def has_two_modes(medians: Sequence[float]) -> bool:
    """True if launches form two groups of two or more that are 5 % apart, and most of the spread is the gap."""
    ordered = sorted(medians)
    gaps = [(after - before, place) for place, (before, after) in enumerate(pairwise(ordered), 1)]
    if len(ordered) < MIN_LAUNCHES or ordered[-1] == ordered[0]:
        return False
    gap, place = max(gaps)
    is_group = 2 <= place <= len(ordered) - 2
    return is_group and gap > MODES_APART * ordered[place - 1] and gap > MODES_SHARE * (ordered[-1] - ordered[0])


def _drifts(values: Sequence[float]) -> bool:
    """True when the values are shown to change by more than 1 % in 100 iterations, not merely not shown steady."""
    found = drift(values)
    return found.low > MAX_DRIFT or found.high < -MAX_DRIFT


def _device_reasons(before: Facts, after: Facts, during: Sequence[Facts]) -> list[tuple[str, str]]:
    reasons: list[tuple[str, str]] = []
    if before.architecture == "wasm":
        reasons.append(("measured in a browser, which other tabs and programs disturb", "Measure over ssh or adb."))
    if before.governor is None:
        reasons.append(
            ("the clock governor cannot be read", "Measure on the machine itself, not in a virtual machine.")
        )
    elif before.governor not in (None, "performance") and not _is_clock_stable(before, after):
        reasons.append((f"the governor is '{before.governor}'", "sudo cpupower frequency-set -g performance"))
    elif before.governor == "performance" and (changed := _clock_change(before, after)):
        reasons.append((changed, "Cool the device, or set a fixed clock."))
    if any(facts.throttled for facts in (before, *during, after)):
        reasons.append((_throttled_when(before, during), "Cool the device, or use a stronger power supply."))
    warmed = _warming(before, after)
    return [*reasons, (warmed, "Let the device reach its working temperature first.")] if warmed else reasons


def _throttled_when(before: Facts, during: Sequence[Facts]) -> str:
    """Throttling in words; the two facts of each launch follow each other in `during`."""
    launches = list(zip(during[::2], during[1::2], strict=True))
    count = sum(bool(start.throttled or end.throttled) for start, end in launches)
    seen = [" before the first launch"] if before.throttled else []
    seen += [f" in {count} of {len(launches)} launches"] if count else []
    return f"the device was throttled{' and'.join(seen)}"


def _clock_change(before: Facts, after: Facts) -> str:
    """The change of the fastest clock in words, of the core that had it; empty if it stayed, or nothing compares."""
    pairs = _common(before.clocks, after.clocks, before.clock_hz, after.clock_hz)
    if not pairs or _is_near(max(was for was, _ in pairs.values()), max(now for _, now in pairs.values())):
        return ""
    core = max(pairs, key=lambda name: pairs[name])
    was, now = pairs[core]
    named = f" of {core}" if core else ""
    return f"the clock{named} changed from {was / 1e9:.2f} to {now / 1e9:.2f} GHz"


def _warming(before: Facts, after: Facts) -> str:
    """The rise of the sensor that rose most, in words; empty if none warmed up by more than a few degrees."""
    pairs = _common(before.sensors, after.sensors, before.temperature_c, after.temperature_c)
    if not pairs:
        return ""
    sensor = max(pairs, key=lambda name: pairs[name][1] - pairs[name][0])
    was, now = pairs[sensor]
    named = f" ({sensor}: {was:.0f} to {now:.0f} °C)" if sensor else ""
    return f"the device warmed up by {now - was:.0f} °C{named}" if now - was > MAX_WARMING_C else ""


def _common(
    before: Mapping[str, float], after: Mapping[str, float], one: float | None, other: float | None
) -> dict[str, tuple[float, float]]:
    """What was read at both times, by name; the one value without a name where neither time has names."""
    if not before and not after:
        return {"": (one, other)} if one is not None and other is not None else {}
    return {name: (before[name], after[name]) for name in before if name in after}


def _is_clock_stable(before: Facts, after: Facts) -> bool:
    is_known = bool(_common(before.clocks, after.clocks, before.clock_hz, after.clock_hz))
    return is_known and not _clock_change(before, after)


def _is_near(was: float, now: float) -> bool:
    return abs(now - was) <= MAX_CLOCK_CHANGE * was
