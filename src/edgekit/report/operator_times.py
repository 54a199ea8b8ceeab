"""The operators of an artifact by type, the slowest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgekit.core.reports.report import Latency, Operators
from edgekit.core.units import format_value


@dataclass(frozen=True)
class Kind:
    """All operators of one type that one provider ran: their number, seconds per call, and share of the time."""

    name: str
    provider: str
    count: int
    seconds: float
    share: float


@dataclass(frozen=True)
class Single:
    """One operator: its name in the file or in the optimized graph, its type, seconds per call, share of the time."""

    name: str
    kind: str
    seconds: float
    share: float


def kinds(found: Operators) -> tuple[Kind, ...]:
    """The operators by type and provider, slowest first; empty if the backend reported none."""
    whole = found.seconds
    groups: dict[tuple[str, str], list[float]] = {}
    for one in found.times:
        groups.setdefault((one.kind, one.provider), []).append(one.seconds)
    made = [
        Kind(kind, provider, len(values), sum(values), sum(values) / whole if whole else 0.0)
        for (kind, provider), values in groups.items()
    ]
    return tuple(sorted(made, key=lambda kind: -kind.seconds))


def together(found: Operators, latency: Iterable[Latency]) -> str:
    """What the operators take together, and, if it is known, which share of the median latency that is."""
    if not found.seconds:
        return "less than 1 µs each, which the profiler counts in"
    text = f"{format_value(found.seconds, 's')} together"
    share = found.share_of_median(latency)
    return text if share is None else f"{text}, {share:.0%} of the median latency"


def slowest(found: Operators, count: int) -> tuple[Single, ...]:
    """The operators that take longest, each by its own name."""
    whole = found.seconds
    order = sorted(found.times, key=lambda one: -one.seconds)[:count]
    return tuple(Single(one.name, one.kind, one.seconds, one.seconds / whole) for one in order if one.seconds > 0)
