"""Where the time of an artifact goes: its operators by type, the one that takes most first."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.core.reports.report import Operators


@dataclass(frozen=True)
class Kind:
    """All operators of one type that one provider ran: their number, seconds a call, and share of all operators."""

    name: str
    provider: str
    count: int
    seconds: float
    share: float


def kinds(found: Operators) -> tuple[Kind, ...]:
    """The operators by type and provider, slowest first; none where the engine told nothing."""
    whole = sum(one.seconds for one in found.times)
    groups: dict[tuple[str, str], list[float]] = {}
    for one in found.times:
        groups.setdefault((one.kind, one.provider), []).append(one.seconds)
    made = [
        Kind(kind, provider, len(values), sum(values), sum(values) / whole if whole else 0.0)
        for (kind, provider), values in groups.items()
    ]
    return tuple(sorted(made, key=lambda kind: -kind.seconds))
