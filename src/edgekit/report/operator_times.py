"""The operators of an artifact by type, the slowest first."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.core.reports.report import Operators


@dataclass(frozen=True)
class Kind:
    """All operators of one type that one provider ran: their number, seconds per call, and share of the time."""

    name: str
    provider: str
    count: int
    seconds: float
    share: float


def kinds(found: Operators) -> tuple[Kind, ...]:
    """The operators by type and provider, slowest first; empty if the backend reported none."""
    whole = sum(one.seconds for one in found.times)
    groups: dict[tuple[str, str], list[float]] = {}
    for one in found.times:
        groups.setdefault((one.kind, one.provider), []).append(one.seconds)
    made = [
        Kind(kind, provider, len(values), sum(values), sum(values) / whole if whole else 0.0)
        for (kind, provider), values in groups.items()
    ]
    return tuple(sorted(made, key=lambda kind: -kind.seconds))
