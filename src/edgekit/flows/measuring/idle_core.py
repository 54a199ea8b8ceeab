"""Where launches on this machine run: on the core that has the least other work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edgekit.core.target import Target

_STAT: Final = Path("/proc/stat")
_LOOK_S: Final = 0.05
# Columns of /proc/stat after the name: user, nice, system, idle, iowait, irq, softirq, steal.
_IDLE: Final = (3, 4)
_COLUMNS: Final = 8


@contextmanager
def on_an_idle_core(target: Target) -> Iterator[int | None]:
    """Pin processes that this thread starts in the block to the core that was idlest a moment ago.

    Yields the number of the core. Yields None and pins nothing if the target is a different machine or uses several
    threads, if there is only one core, or if the system cannot pin processes.
    """
    core = _idlest(_STAT) if target.device == "local" and target.threads == 1 else None
    if core is None:
        yield None
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)


def _idlest(stat: Path) -> int | None:
    """The core, of those this process may use, with the least work in the next 50 ms."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    if len(allowed) < 2 or not stat.is_file():
        return None
    before = read_busy(stat)
    time.sleep(_LOOK_S)
    after = read_busy(stat)
    busy = {core: after[core] - before[core] for core in allowed if core in before and core in after}
    return min(busy, key=lambda core: (busy[core], core), default=None)


def read_busy(stat: Path) -> dict[int, int]:
    """Busy time of every core since the start of the system, in the kernel's ticks."""
    rows = [line.split() for line in stat.read_text().splitlines()]
    found = {}
    for name, *counts in rows:
        if name.startswith("cpu") and name != "cpu":
            numbers = [int(text) for text in counts[:_COLUMNS]]
            found[int(name.removeprefix("cpu"))] = sum(numbers) - sum(numbers[place] for place in _IDLE)
    return found
