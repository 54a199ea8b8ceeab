"""Cells: one artifact on one target, with the job that a device is given for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.job import Job
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.samples import write_arrays
from edgekit.core.target import Target
from edgekit.devices.device import Device
from edgekit.flows import devices
from edgekit.flows.bundles import Opened, feed_at

DEFAULT_TIME_LIMIT_S: Final = 0.5


@dataclass(frozen=True, eq=False)
class Cell:
    """One artifact of an opened bundle on one target, with its job. Compared and hashed by identity."""

    found: Opened
    artifact: Artifact
    target: Target
    job: Job


def open_device(target: Target) -> Device:
    """The device a target names, built in or of the user's inventory.

    Raises:
        UserError: No device of that name (the nearest is offered).
    """
    return devices.open_device(target.device)


def write_feeds(found: Opened, folder: Path, *, count: int) -> Path:
    """The feeds of a job: the timed one first, then one sample each, `count` in all."""
    rows = range(min(count, len(found.samples)))
    arrays = {f"{row}:{name}": array for row in rows for name, array in feed_at(found.spec, found.samples, row).items()}
    write_arrays(folder / "feeds.npz", arrays)
    return folder / "feeds.npz"


def job_for(found: Opened, artifact: Artifact, target: Target, feeds: Path, outputs: str, time_limit_s: float) -> Job:
    """One launch of `artifact`; with `outputs`, the answers to every feed are written there."""
    return Job(
        artifact=str(found.files[artifact.recipe].resolve()),
        sha256=artifact.sha256,
        format=artifact.format,
        feeds=str(feeds),
        backend=target.backend,
        options=dict(target.options),
        outputs=outputs,
        time_limit_s=time_limit_s,
    )


def measurement_of(cell: Cell, launches: Sequence[Launch], emulated: bool) -> Measurement:
    """The launches of a cell as a measurement at the sizes of its timed feed."""
    spec = cell.found.spec
    feed = feed_at(spec, cell.found.samples, 0)
    sizes = {
        axis: feed[tensor.name].shape[place]
        for tensor in spec.inputs
        for place, axis in enumerate(tensor.shape)
        if isinstance(axis, str)
    }
    return Measurement(str(cell.target), cell.artifact.recipe, "latency", "s", tuple(launches), sizes, emulated)
