"""The job a device is given and the result it gives back: the only thing runtime and devices share."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.facts import Facts

# 1: first version.
JOB_SCHEMA: Final = 1


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One launch: load `artifact`, run `feeds`, time the first feed.

    Paths are those of the host; a transport replaces them by the device's. `feeds` is an .npz whose arrays are
    called `INDEX:INPUT`; feed 0 is the one that is timed. With `outputs`, every feed is run once and its outputs are
    written there as `INDEX:OUTPUT`. With `operators`, every operator is timed as well, where the runner can, in runs of
    its own. Times in seconds.
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
    schema_version: int = JOB_SCHEMA


class OperatorTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One operator as the engine ran it: its name in the optimized graph, its type, and seconds a call (median).

    A resolution of 1 µs is that of the engine's own profile.
    """

    name: str
    kind: str
    provider: str
    seconds: float


class JobResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one launch measured. Times in seconds, in order; `nivcsw`: involuntary context switches during `values`.

    The runner called until five durations in a row lay close together (`warmups`), and then for the time of the job
    (`values`). Where the warm-up ends is decided on the host, from both.

    `energy_j` is what the processor package used during `values`, in joules, where a sensor tells; other work on it and
    what it uses at rest are part of that.
    """

    backend: str
    engine: str
    provider: str
    values: tuple[float, ...]
    warmups: tuple[float, ...]
    load_s: float
    first_run_s: float
    peak_memory_bytes: int | None = None
    nivcsw: int | None = None
    energy_j: float | None = None
    operators: tuple[OperatorTime, ...] = ()
    before: Facts = Facts()
    after: Facts = Facts()
    notes: tuple[str, ...] = ()
    schema_version: int = JOB_SCHEMA


class JobFailure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why a launch gave no result: the record of an error (`core.errors.to_record`), and its exit code."""

    error: str
    message: str
    hint: str = ""
    exit_code: int = 70
    code: str = ""
    schema_version: int = JOB_SCHEMA
