"""Facts of a device as names and values for people; a missing one has its reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    """One target: its facts, and how far its measurements can be relied on.

    `grades` are those of trust with their artifacts. `reasons` and `raise_by` appear once, with the artifacts they
    concern, or without any if that is all of them. Facts that equal those of the target `same_as` are left out.
    """

    target: str
    facts: tuple[Fact, ...] = ()
    grades: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    raise_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    same_as: str = ""


def devices(report: Report, targets: Sequence[TargetView]) -> tuple[DeviceView, ...]:
    """Every target or device for which the report has facts or a trust grade."""
    trusts = {target.target: target.trust for target in targets if target.trust}
    names = dict.fromkeys([*(target.target for target in targets), *report.facts])
    found: dict[str, tuple[Fact, ...]] = {}
    views = []
    for name in names:
        facts, same_as = _new_facts(_facts(report, name), found)
        found.setdefault(name, _facts(report, name))
        if facts or same_as or name in trusts:
            views.append(replace(_trusted(name, trusts.get(name, ())), facts=facts, same_as=same_as))
    return tuple(views)


def _new_facts(facts: tuple[Fact, ...], told: Mapping[str, tuple[Fact, ...]]) -> tuple[tuple[Fact, ...], str]:
    """Facts that no earlier target has, and the one that has the others; most facts must be equal."""
    for name, others in told.items():
        rest = tuple(fact for fact in facts if fact not in others)
        if facts and len(rest) <= len(facts) / 2 and not {fact.name for fact in others} - {fact.name for fact in facts}:
            return rest, name
    return facts, ""


def _trusted(name: str, trust: Sequence[tuple[Trust, tuple[str, ...]]]) -> DeviceView:
    """The view without facts."""
    everyone = {artifact for _, artifacts in trust for artifact in artifacts}
    grades = _told((one.grade, artifacts) for one, artifacts in trust)
    reasons = _told((reason, artifacts) for one, artifacts in trust for reason in one.reasons)
    raise_by = _told((one.raise_by, artifacts) for one, artifacts in trust if one.raise_by)
    return DeviceView(name, (), grades, _unless_all(reasons, everyone), _unless_all(raise_by, everyone))


def _told(pairs: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, tuple[str, ...]]:
    """Each text once, with all artifacts it was said of."""
    found: dict[str, tuple[str, ...]] = {}
    for text, artifacts in pairs:
        found[text] = tuple(dict.fromkeys((*found.get(text, ()), *artifacts)))
    return found


def _unless_all(told: Mapping[str, tuple[str, ...]], everyone: set[str]) -> dict[str, tuple[str, ...]]:
    return {text: () if set(artifacts) == everyone else artifacts for text, artifacts in told.items()}


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
    """Every known fact in a fixed order, then backends and features; one that could not be read has its reason."""
    known = [
        Fact(name, _value(field, getattr(facts, field)), facts.missing.get(field, "")) for field, name in _NAMES.items()
    ]
    known += [Fact("gpu", _gpu(gpu)) for gpu in facts.gpus]
    known.append(Fact("emulated", "yes" if facts.emulated else "no"))
    known.append(Fact("backends", ", ".join(f"{name} {version}" for name, version in facts.engines.items())))
    known.append(Fact("features", ", ".join(facts.features)))
    unread = [Fact(name, "", reason) for name, reason in facts.missing.items() if name not in _NAMES]
    return tuple(fact for fact in known + unread if fact.value or fact.reason)


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
