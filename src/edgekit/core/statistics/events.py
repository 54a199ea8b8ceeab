"""One night of many series: which regressions belong together, and whether code, a device or a model is behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

import msgspec

from edgekit.core.statistics.nightly import expected_level, judge

Cause = Literal["code", "device", "model", "unclear"]
# A device is behind what most of its models show and hardly any series of the other devices does.
MOST, FEW = 0.5, 0.05


class SeriesKey(NamedTuple):
    """The series of one model on one device."""

    model: str
    device: str

    def __str__(self) -> str:
        return f"{self.model}@{self.device}"


class Night(NamedTuple):
    """Tonight of one series: its earlier values and tonight's, as `judge` takes them."""

    history: Sequence[float]
    candidates: Sequence[float]


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Regressions of one night that have one cause.

    Attributes:
        cause: "code": models are slower on several devices. "device": most models of one device are, and hardly any on
            the others. "model": one model alone is. "unclear": what was measured cannot distinguish code from device.
        name: Of the device, or of the model; empty for code.
        series: What is slower, "model@device" each.
        change: The median over these series of tonight's median against the level, 0.05 for 5 %.
        evidence: What shows it, in one sentence.
        since: When the first of them was slower for the first time, for who has the earlier nights.
    """

    cause: Cause
    name: str
    series: tuple[str, ...]
    change: float
    evidence: str
    since: str = ""


def judge_many(night: Mapping[SeriesKey, Night]) -> tuple[Event, ...]:
    """The regressions of a night, put together by their cause; each series is judged by `judge`.

    A regression of the code shows on several devices in the same night, though not always in the same models: kernels
    differ. A disturbed machine shows on one. After disturbed devices are set apart, the rest is one event.

    Args:
        night: Every series that was measured tonight, with those that are within their level: they are the evidence.

    Raises:
        ValueError: A series without a candidate, or a value that is not positive.
    """
    changes = {
        key: median(one.candidates) / expected_level(one.history) - 1
        for key, one in night.items()
        if judge(*one).outcome == "regressed"
    }
    return tuple(_events(changes, tuple(night)))


def _events(changes: Mapping[SeriesKey, float], measured: Sequence[SeriesKey]) -> Iterator[Event]:
    disturbed = [name for name in _devices(changes) if _is_disturbed(name, changes, measured)]
    for name in disturbed:
        here = [key for key in changes if key.device == name]
        others = [key for key in measured if key.device != name]
        elsewhere = f"and in {sum(key in changes for key in others)} of {len(others)} series on other devices"
        yield _event("device", name, here, changes, f"{_share(here, measured)}, {elsewhere}")
    rest = [key for key in changes if key.device not in disturbed]
    if rest:
        yield _rest(rest, changes, measured)


def _is_disturbed(device: str, slower: Mapping[SeriesKey, float], measured: Sequence[SeriesKey]) -> bool:
    """Whether most series of a device are slower, at least two, and hardly any of the other devices."""
    here, others = ([key for key in measured if (key.device == device) is same] for same in (True, False))
    slow_here, slow_others = (sum(key in slower for key in part) for part in (here, others))
    return slow_here >= max(2.0, MOST * len(here)) and bool(others) and slow_others <= FEW * len(others)


def _rest(slower: Sequence[SeriesKey], changes: Mapping[SeriesKey, float], measured: Sequence[SeriesKey]) -> Event:
    """The one event of what is slower on devices that are not disturbed."""
    models, devices = tuple(dict.fromkeys(key.model for key in slower)), _devices(slower)
    if len(models) > 1 and len(devices) > 1:
        evidence = "; ".join(_share([key for key in slower if key.device == name], measured) for name in devices)
        return _event("code", "", slower, changes, evidence)
    fine = sum(key.model not in models for key in measured)
    if len(models) == 1 and fine:
        total = len(_devices([key for key in measured if key.model == models[0]]))
        evidence = f"{len(devices)} of {total} device{'s' * (total > 1)}, and in none of {fine} series of other models"
        return _event("model", models[0], slower, changes, evidence)
    others = [name for name in _devices(measured) if name not in devices]
    why = "on no other device" if others else "no other device was measured"
    name = devices[0] if len(devices) == 1 else models[0]
    return _event("unclear", name, slower, changes, f"{_share(slower, measured)}, and {why}")


def _event(
    cause: Cause, name: str, series: Sequence[SeriesKey], changes: Mapping[SeriesKey, float], evidence: str
) -> Event:
    return Event(cause, name, tuple(map(str, series)), median(changes[key] for key in series), evidence)


def _share(here: Sequence[SeriesKey], measured: Sequence[SeriesKey]) -> str:
    """How many of the series on these devices are slower."""
    devices = _devices(here)
    total = sum(key.device in devices for key in measured)
    return f"{len(here)} of {total} models on {', '.join(devices)}"


def _devices(series: Iterable[SeriesKey]) -> list[str]:
    return list(dict.fromkeys(key.device for key in series))
