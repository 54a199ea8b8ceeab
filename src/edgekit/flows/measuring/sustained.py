"""Sustained load: consecutive launches of one artifact, for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

from edgekit.core.errors import EdgekitError, Unreadable, UserError
from edgekit.core.job import Job, JobResult
from edgekit.core.reports.sustained import MIN_POINTS, Sustained, SustainedPoint, change
from edgekit.core.system.progress import Progress
from edgekit.devices.device import Device
from edgekit.flows.measuring.cells import Cell
from edgekit.flows.measuring.summary import to_launch

MIN_SUSTAIN_S: Final = 5.0
_MAX_POINT_S: Final = 5.0
# A launch ends early when it has taken these; at 25 µs a call they fill the 5 seconds.
_MAX_CALLS: Final = 200_000


def sustain(
    cells: Sequence[Cell],
    devices: Mapping[str, Device],
    seconds: float,
    progress: Progress,
    failed: dict[Cell, EdgekitError],
    clock: Callable[[], float] = time.monotonic,
) -> list[Sustained]:
    """Each cell under load for `seconds`, one after the other; the device rests only while a process starts.

    Args:
        failed: Takes the error of a cell that crashes its backend, which is then left out.
    """
    found: list[Sustained] = []
    for cell in cells:
        try:
            found.append(_sustained(cell, devices[cell.target.device], seconds, progress, clock))
        except Unreadable as err:
            failed[cell] = err
    return found


def refuse_short(seconds: float | None) -> None:
    """Raise for a time that is too short.

    Raises:
        UserError: Less than 5 s.
    """
    if seconds is not None and seconds < MIN_SUSTAIN_S:
        raise UserError(f"sustain: expected at least {MIN_SUSTAIN_S:g} s, got {seconds:g} s.", hint="--sustain 5min")


def refuse_emulated(devices: Mapping[str, Device]) -> None:
    """Raise for devices that have no latency.

    Raises:
        UserError: One of them is emulated.
    """
    for name, device in devices.items():
        if device.emulated:
            raise UserError(f"'{name}' is emulated, so sustained load shows nothing.", hint="Omit --sustain.")


def _sustained(cell: Cell, device: Device, seconds: float, progress: Progress, clock: Callable[[], float]) -> Sustained:
    job = msgspec.structs.replace(
        cell.inference_job, time_limit_s=min(_MAX_POINT_S, seconds / 2 / MIN_POINTS), max_values=_MAX_CALLS
    )
    points: list[SustainedPoint] = []
    start = clock()
    while not points or points[-1].elapsed_s < seconds:
        points.append(_point(device, job, start, clock))
        progress.step(min(int(points[-1].elapsed_s), int(seconds)), int(seconds), f"seconds of {cell.described}")
    found = change(points)
    where = str(cell.target), cell.artifact.recipe, cell.sizes, tuple(points)
    if found is None:
        return Sustained(*where, reason=f"only {len(points)} launches fit into the time, {MIN_POINTS} are needed")
    return Sustained(*where, found.value, found.low, found.high)


def _point(device: Device, job: Job, start: float, clock: Callable[[], float]) -> SustainedPoint:
    result: JobResult = device.measure(job)
    after, launch = result.after, to_launch(0, result)
    return SustainedPoint(
        round(clock() - start, 3),
        median(launch.values),
        len(launch.warmups) + len(launch.values),
        after.temperature_c,
        after.clock_hz,
        after.throttled,
    )
