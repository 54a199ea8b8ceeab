"""Instructions of one inference, counted on emulated devices: exact, where times mean nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgekit.core.system.progress import Progress
from edgekit.devices.device import Counting, Device
from edgekit.flows.measuring.cells import Cell

Counts = Mapping[Cell, tuple[int, ...]]


def count_all(cells: Sequence[Cell], devices: Mapping[str, Device], progress: Progress) -> Counts:
    """Instructions of single calls, for the cells on devices that count them."""
    counts: dict[Cell, tuple[int, ...]] = {}
    for cell in cells:
        device = devices[cell.target.device]
        found = device.count(cell.job) if device.emulated and isinstance(device, Counting) else ()
        if found:
            counts[cell] = found
            progress.step(len(counts), len(cells), f"instructions of {cell.artifact.recipe} on {cell.target}")
    return counts
