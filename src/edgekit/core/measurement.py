"""Measurement: one metric of one artifact on one target, as raw values of several process launches."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from edgekit.core.system.documents import Document

DECODE: Final = "decode"
PREFILL: Final = "prefill"
PARTS: Final = ("preprocess", "inference", "postprocess")
"""The parts of a call from a file to a prediction, in order."""
WHOLE: Final = "end_to_end"
# As in a `JobResult`: what a device says is checked.
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]


class CallParts(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a launch measured of whole calls, from a file to a prediction: three times of each call, in seconds.

    The calls are in order, and the first `warmups` of them are the warm-up. `nivcsw`: involuntary context switches
    during the others.

    Raises:
        ValueError: Parts of different numbers of calls, or a warm-up that leaves none.
    """

    preprocess: tuple[_Seconds, ...]
    inference: tuple[_Seconds, ...]
    postprocess: tuple[_Seconds, ...]
    warmups: _Count = 0
    nivcsw: _Count | None = None

    def __post_init__(self) -> None:
        counts = {len(self.preprocess), len(self.inference), len(self.postprocess)}
        if len(counts) > 1 or self.warmups >= min(counts):
            raise ValueError(f"{sorted(counts)} times of calls, and a warm-up of {self.warmups}")

    def times(self, part: str) -> tuple[float, ...]:
        """The times of one of `PARTS`, or of `WHOLE` calls: the sum of the three, call by call."""
        if part == WHOLE:
            return tuple(map(sum, zip(self.preprocess, self.inference, self.postprocess, strict=True)))
        found: tuple[float, ...] = getattr(self, part)
        return found


class Launch(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one fresh process measured. Times in seconds, memory in bytes; `order` is its place among all launches.

    `warmups` are the first calls in order, `values` the calls after the warm-up. `disturbed` is true if the scheduler
    or another process interfered, with the evidence in `notes`; `replaced`, if the launch was repeated and the other
    one counts. `energy_j` is the energy in joules of the last `energy_calls` calls together; None: of all `values`.
    `end_to_end` are calls from a file to a prediction, made after `values`, if they were requested.
    """

    order: int
    values: tuple[float, ...]
    warmups: tuple[float, ...] = ()
    load_s: float | None = None
    first_run_s: float | None = None
    peak_memory_bytes: int | None = None
    disturbed: bool = False
    notes: tuple[str, ...] = ()
    replaced: bool = False
    energy_j: float | None = None
    energy_calls: int | None = None
    end_to_end: CallParts | None = None


class Measurement(Document, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raw values: every statistic is computed from `launches` when it is needed.

    `sizes` are the sizes of the dynamic axes in each call, `batch` is its number of samples, and `sound_s` how
    long the sound in it lasts, for models of sound. `phase` is set for a decoder with a cache, which reads a prompt
    (`prefill`), then writes (`decode`); `tokens` are those that it reads in each call, of all samples. An emulated
    measurement says nothing about the latency of a device; `instructions` are those of single calls, if an emulator
    counted them.
    """

    target: str
    artifact: str
    metric: str
    unit: str
    launches: tuple[Launch, ...]
    sizes: dict[str, int] = {}
    emulated: bool = False
    instructions: tuple[int, ...] = ()
    batch: int = 1
    sound_s: float | None = None
    phase: str = ""
    tokens: int | None = None

    @property
    def launch_values(self) -> tuple[tuple[float, ...], ...]:
        """The values after the warm-up of the launches that count, one tuple per launch."""
        return tuple(launch.values for launch in self.counted)

    @property
    def counted(self) -> tuple[Launch, ...]:
        """The launches that were not replaced."""
        return tuple(launch for launch in self.launches if not launch.replaced)

    def part(self, name: str) -> Measurement:
        """One of `PARTS` or `WHOLE` as a measurement of its own; without launches if it was not measured."""
        found = ((one, one.end_to_end) for one in self.launches)
        launches = tuple(_of_part(one, parts, name) for one, parts in found if parts is not None)
        return msgspec.structs.replace(self, metric=name, launches=launches)


def _of_part(launch: Launch, parts: CallParts, name: str) -> Launch:
    times = parts.times(name)
    return msgspec.structs.replace(launch, warmups=times[: parts.warmups], values=times[parts.warmups :])


class Trust(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a measurement can be relied on: A, B, C (indicative) or E (emulated), with the reasons."""

    grade: str
    reasons: tuple[str, ...] = ()
    raise_by: str = ""
