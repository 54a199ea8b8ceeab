"""Cells: one artifact on one target, with its job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.job import Job, WholeCalls
from edgekit.core.measurement import DECODE, Launch, Measurement
from edgekit.core.samples import Feed, write_arrays
from edgekit.core.spec.input_kinds import AudioInput
from edgekit.core.target import Target
from edgekit.flows.calls.ability import is_timed_on
from edgekit.flows.calls.given_files import GivenFile
from edgekit.flows.measuring.phases import after_prompt, chunk_at, places_of, tokens_of, which
from edgekit.flows.opening.artifacts import Opened, feed_at
from edgekit.flows.opening.external_data import refuse_elsewhere
from edgekit.flows.opening.states import chunk_of

DEFAULT_TIME_LIMIT_S: Final = 0.5
SHORT_TIME_LIMIT_S: Final = 0.1
# A p95 needs 59 calls after the warm-up, which the host may end later than the runner.
_LEAST_WHOLE_CALLS: Final = 120


@dataclass(frozen=True, eq=False)
class Cell:
    """One artifact of an opened bundle on one target, with its job: `batch` samples per call.

    `phase` is that of a decoder, as in `phases_of`. Compared and hashed by identity.
    """

    found: Opened
    artifact: Artifact
    target: Target
    job: Job
    batch: int = 1
    phase: str = ""

    @property
    def described(self) -> str:
        """`onnx-fp32 on pi5`."""
        return f"{self.artifact.recipe} on {self.target}{which(self.batch, self.phase)}"

    @property
    def inference_job(self) -> Job:
        """The job without outputs and whole calls."""
        return msgspec.structs.replace(self.job, outputs="", end_to_end=None)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes of the dynamic axes in the timed feed."""
        feed = timed_feed(self.found, self.batch, self.phase)
        return {
            axis: feed[tensor.name].shape[place]
            for tensor in self.found.spec.inputs
            for place, axis in enumerate(tensor.shape)
            if isinstance(axis, str)
        }


def with_whole_calls(cells: Sequence[Cell], given: GivenFile) -> list[Cell]:
    """The cells, whose launches time calls from `given` to a prediction as well, where that can be done."""
    return [_with_whole_calls(cell, given.value) if is_timed_on(cell.target) else cell for cell in cells]


def _with_whole_calls(cell: Cell, value: str) -> Cell:
    whole = WholeCalls(value, cell.found.spec, _LEAST_WHOLE_CALLS)
    return replace(cell, job=msgspec.structs.replace(cell.job, end_to_end=whole))


def write_feeds(found: Opened, folder: Path, *, count: int, batch: int = 1, phase: str = "") -> Path:
    """The feeds of a job: the timed one first, then the next samples, `count` in all, of `batch` samples each.

    For a model that is fed in chunks, the timed one is a chunk and none of the `count`; a decoder writes after a
    prompt.
    """
    feeds = [feed_at(found.spec, found.samples, rows[0], batch) for rows in rows_fed(found, count, batch)]
    if chunk_of(found.spec):
        feeds.insert(0, timed_feed(found, batch, phase))
    if phase == DECODE:
        feeds[0].update(after_prompt(found, batch))
    arrays = {f"{place}:{name}": array for place, feed in enumerate(feeds) for name, array in feed.items()}
    path = folder / f"feeds-{batch}{phase}.npz"
    write_arrays(path, arrays)
    return path


def timed_feed(found: Opened, batch: int = 1, phase: str = "") -> Feed:
    """The feed that is timed: the first sample, or a chunk of it for a model that is fed in chunks.

    The states are those of the beginning.
    """
    return chunk_at(found, places_of(found.spec, phase), batch)


def sound_s(found: Opened, batch: int = 1) -> float | None:
    """How long the sound in the timed feed lasts, in seconds; None for models that take no sound."""
    how = found.spec.preprocessing
    if not isinstance(how, AudioInput):
        return None
    return float(timed_feed(found, batch)[found.spec.inputs[0].name].shape[-1] / how.rate)


def rows_fed(found: Opened, count: int, batch: int) -> list[list[int]]:
    """The samples of each feed; after the last one they repeat, but every feed starts with a different one."""
    total = len(found.samples)
    return [[(start + row) % total for row in range(batch)] for start in range(min(count, total))]


def job_for(found: Opened, artifact: Artifact, target: Target, feeds: Path, outputs: str, time_limit_s: float) -> Job:
    """One launch of `artifact`; the outputs for every feed are written to `outputs`, if given.

    The states of a stream continue from call to call. A decoder begins each with the same cache: it would be full soon.

    Raises:
        UserError: The device cannot receive it, as in `refuse_elsewhere`.
    """
    if target.device != "local":
        refuse_elsewhere(found.files[artifact.recipe], f"'{target.device}'")
    return Job(
        artifact=str(found.files[artifact.recipe].resolve()),
        sha256=artifact.sha256,
        format=artifact.format,
        feeds=str(feeds),
        backend=target.backend,
        options=found.options_on(target),
        outputs=outputs,
        time_limit_s=time_limit_s,
        states={} if found.spec.is_decoder else found.spec.states,
    )


def measurement_of(cell: Cell, launches: Sequence[Launch], emulated: bool) -> Measurement:
    """The launches of a cell as a measurement at the sizes of its timed feed."""
    target, name = str(cell.target), cell.artifact.recipe
    return Measurement(
        target,
        name,
        "latency",
        "s",
        tuple(launches),
        cell.sizes,
        emulated,
        batch=cell.batch,
        sound_s=sound_s(cell.found, cell.batch),
        phase=cell.phase,
        tokens=tokens_of(cell.found.spec, cell.phase, cell.batch),
    )
