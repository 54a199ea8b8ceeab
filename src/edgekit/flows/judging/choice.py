"""The artifact that a target gets: the smallest of those that are not shown to be slower than the fastest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

from edgekit.core.bundle import Artifact
from edgekit.core.measurement import Measurement
from edgekit.core.reports.report import Latency, cell
from edgekit.core.statistics.intervals import is_slower, launch_quantiles
from edgekit.core.units import format_value

# The smallest ratio of latencies that counts, as in `compare` and `tune`.
MINIMUM_EFFECT: Final = 0.03


class Measured(Protocol):
    """What the choice depends on."""

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """The artifacts, with their sizes."""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Raw values by artifact and target."""

    @property
    def latency(self) -> tuple[Latency, ...]:
        """The figures of those values."""


def chosen(names: Sequence[str], target: str, figures: Measured) -> tuple[str, str]:
    """The artifact to use on `target`, and why it is not the fastest; empty if it is.

    Which of several equals is the fastest is luck, a smaller file is certain. Artifacts without a median are chosen
    last, and only by their size.
    """
    fastest = min(names, key=lambda name: (_median(name, target, figures), _size(name, figures)))
    tied = [name for name in names if name == fastest or not _is_slower(fastest, name, target, figures)]
    best = min(tied, key=lambda name: (_size(name, figures), _median(name, target, figures)))
    if best == fastest:
        return best, ""
    times = (format_value(_median(name, target, figures), "s") for name in (best, fastest))
    return best, f"the smallest; {' is not shown to be slower than '.join(times)} of '{fastest}'"


def _is_slower(fastest: str, name: str, target: str, figures: Measured) -> bool:
    """False where the launches do not show it, so that only noise would decide."""
    known, other = (_launch_medians(one, target, figures) for one in (fastest, name))
    if known is None or other is None:
        return True
    return is_slower(known, other, MINIMUM_EFFECT)


def _launch_medians(name: str, target: str, figures: Measured) -> tuple[float, ...] | None:
    found = next(iter(cell(figures.measurements, name, target)), None)
    if found is None or math.isinf(_median(name, target, figures)):
        return None
    return launch_quantiles(found.launch_values, 0.5)


def _median(name: str, target: str, figures: Measured) -> float:
    """In seconds; infinite where none is known, as under emulation or with a drift."""
    row = next(iter(cell(figures.latency, name, target)), None)
    median = row.quantiles.get("p50") if row else None
    return median.value if median and median.value is not None else math.inf


def _size(name: str, figures: Measured) -> int:
    return next(one.size_bytes for one in figures.artifacts if one.recipe == name)
