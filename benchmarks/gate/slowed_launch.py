"""A launch whose timed calls take longer by a busy-wait, where a file `busy_wait_s` beside the artifact says how long.

Stands in for `edgekit.runtime.launch` while the campaign runs; nothing of edgekit itself knows of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from edgekit.core.job import Job, JobResult
from edgekit.runtime import launch

WAIT_FILE = "busy_wait_s"


def slowed(call: Callable[[], object], wait_s: float) -> Callable[[], object]:
    wait_ns = int(wait_s * 1e9)

    def slower() -> object:
        found = call()
        end = perf_counter_ns() + wait_ns
        while perf_counter_ns() < end:
            pass
        return found

    return slower


def install(wait_s: float) -> None:
    """Make every timed call of this process last `wait_s` longer."""
    for name in ("warm_up", "take_values"):
        original: Callable[..., Any] = getattr(launch, name)

        def replaced(call: Callable[[], object], *, original: Callable[..., Any] = original, **options: Any) -> Any:
            return original(slowed(call, wait_s), **options)

        setattr(launch, name, replaced)


def slowed_launch(job: Job) -> JobResult:
    """`launch` of a job, slowed where the file says so."""
    wait = Path(job.artifact).parent / WAIT_FILE
    if wait.is_file():
        install(float(wait.read_text()))
    return plain_launch(job)


plain_launch = launch.launch

if __name__ == "__main__":
    launch.launch = slowed_launch
    sys.exit(launch.main())
