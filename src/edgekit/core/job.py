"""The job that a device receives and the result that it returns, for launches here and on devices."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from edgekit.core.facts import Facts
from edgekit.core.measurement import CallParts
from edgekit.core.spec.model_spec import ModelSpec

# 1: first version.
JOB_SCHEMA: Final = 1
# What a device may report: no launch takes longer than eleven days, and no time is negative.
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e6)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 60)]


class WholeCalls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Calls from end to end: `input`, a file or a sentence, is read and decoded as `spec` says, at least `least` times.

    What the outputs mean is part of each call.
    """

    input: str
    spec: ModelSpec
    least: int


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One launch: load `artifact`, run `feeds`, time the first feed.

    Paths are those of the host; a transport replaces them with paths on the device. `feeds` is an .npz with arrays
    named `INDEX:INPUT`; feed 0 is timed. With `outputs`, every feed is run once and its outputs are written there as
    `INDEX:OUTPUT`. With `operators`, every operator is timed as well, in separate runs, if the runner supports that.
    With `states` (inputs by output), an output of a timed run is the input of the next one, if it has the same shape;
    the runner in C and browsers repeat the first states instead. With `end_to_end`, calls from a file to a prediction
    are timed after the others, for the same time; only launches on this machine do that. Times in seconds.
    """

    artifact: str
    sha256: str
    format: str
    feeds: str
    backend: str = ""
    options: dict[str, str] = {}
    outputs: str = ""
    time_limit_s: float = 1.0
    min_values: int = 30
    max_values: int = 1000
    operators: bool = False
    states: dict[str, str] = {}
    end_to_end: WholeCalls | None = None
    schema_version: int = JOB_SCHEMA


class OperatorTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operator as the backend ran it: its name in the graph, its type, and its usual seconds per call.

    A resolution of 1 µs is that of the profiler of ONNX Runtime or LiteRT.
    """

    name: str
    kind: str
    provider: str
    seconds: Seconds


class JobResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one launch measured. Times in seconds, in order; `nivcsw`: involuntary context switches during `values`.

    The runner calls the model until five consecutive durations are close together (`warmups`), then for the time limit
    of the job (`values`). The host decides from both where the warm-up ends.

    `energy_j` is the energy in joules of the processor package during `values`, if a sensor reports it; it includes the
    idle power and other work on the processor.
    """

    backend: str
    engine: str
    provider: str
    values: Annotated[tuple[Seconds, ...], msgspec.Meta(min_length=1)]
    warmups: tuple[Seconds, ...]
    load_s: Seconds
    first_run_s: Seconds
    peak_memory_bytes: Bytes | None = None
    nivcsw: Count | None = None
    energy_j: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None
    operators: tuple[OperatorTime, ...] = ()
    before: Facts = Facts()
    after: Facts = Facts()
    notes: tuple[str, ...] = ()
    end_to_end: CallParts | None = None
    schema_version: int = JOB_SCHEMA


class JobFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a launch failed: the record of an error (`core.errors.to_record`), and its exit code."""

    error: str
    message: str
    hint: str = ""
    exit_code: int = 70
    code: str = ""
    schema_version: int = JOB_SCHEMA
