"""Facts of a device as names and values for people; a missing one has its reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from edgekit.core.facts import Facts, Gpu
from edgekit.core.measurement import Trust
from edgekit.core.reports.report import Report
from edgekit.core.units import format_value
from edgekit.report.rows import TargetView

TRUST: Final = {
    "A": "reliable",
    "B": "reliable with one reservation",
    "C": "indicative only",
    "E": "emulated: not the latency of a device",
}
_NAMES: Final = {
    "system": "system",
    "cpu": "processor",
    "architecture": "architecture",
    "cores": "cores",
    "memory_bytes": "memory",
    "governor": "governor",
    "clock_hz": "clock",
    "temperature_c": "temperature",
    "throttled": "throttled",
    "load": "load average",
}

_CHANGING: Final = ("governor", "clock_hz", "temperature_c", "throttled", "load")


@dataclass(frozen=True)
class Fact:
    """One fact: its name, its value as text (empty if missing), and why it is missing."""

    name: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class DeviceView:
    """One target: its facts, and how far its measurements can be relied on."""

    target: str
    facts: tuple[Fact, ...]
    trust: tuple[tuple[Trust, tuple[str, ...]], ...]


def devices(report: Report, targets: Sequence[TargetView]) -> tuple[DeviceView, ...]:
    """Every target or device for which the report has facts or a trust grade."""
    trusts = {target.target: target.trust for target in targets if target.trust}
    names = dict.fromkeys([*(target.target for target in targets), *report.facts])
    return tuple(
        DeviceView(name, _facts(report, name), trusts.get(name, ()))
        for name in names
        if name in report.facts or name in trusts
    )


def _facts(report: Report, name: str) -> tuple[Fact, ...]:
    """The facts before the first launch, and what had changed after the last one."""
    if name not in report.facts:
        return ()
    before, after = report.facts[name], report.facts_after.get(name)
    later = {} if after is None else {field: _value(field, getattr(after, field)) for field in _CHANGING}
    changed = {_NAMES[field]: text for field, text in later.items() if text}
    return tuple(
        replace(fact, value=f"{fact.value}, then {changed[fact.name]}")
        if fact.value and changed.get(fact.name, fact.value) != fact.value
        else fact
        for fact in facts_of(before)
    )


def facts_of(facts: Facts) -> tuple[Fact, ...]:
    """Every fact in a fixed order, then backends, features, and other facts that could not be read."""
    known = [
        Fact(name, _value(field, getattr(facts, field)), facts.missing.get(field, "")) for field, name in _NAMES.items()
    ]
    known += [Fact("gpu", _gpu(gpu)) for gpu in facts.gpus]
    known.append(Fact("emulated", "yes" if facts.emulated else "no"))
    known.append(Fact("backends", ", ".join(f"{name} {version}" for name, version in facts.engines.items())))
    known.append(Fact("features", ", ".join(facts.features)))
    unread = [Fact(name, "", reason) for name, reason in facts.missing.items() if name not in _NAMES]
    return tuple(known + unread)


def _gpu(gpu: Gpu) -> str:
    parts = [gpu.name, f"driver {gpu.driver}"]
    parts += [format_value(gpu.memory_bytes, "bytes")] * (gpu.memory_bytes is not None)
    parts += [_value("clock_hz", gpu.clock_hz)] * (gpu.clock_hz is not None)
    parts += [_value("temperature_c", gpu.temperature_c)] * (gpu.temperature_c is not None)
    return ", ".join(parts)


def _value(field: str, value: str | float | bool | None) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field == "memory_bytes":
        return format_value(value if isinstance(value, int) else None, "bytes")
    if field == "clock_hz":
        return f"{float(value) / 1e9:.2f} GHz"
    return f"{float(value):.1f} °C" if field == "temperature_c" else str(value)
