"""One launch of a job in a fresh process: `python -m edgekit.runtime.launch JOB.json` prints one line of JSON.

If the file is `-`, the job is the first line of standard input, and the process ends as soon as that is closed.

The line is a JobResult, or a JobFailure with the exit code of the process. Everything else, including what libraries
print, goes to standard error.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from edgekit.core import machine as machines
from edgekit.core.errors import (
    EdgekitError,
    Interrupted,
    ModelUnreadable,
    UserError,
    from_os_error,
    of_the_machine,
    to_record,
)
from edgekit.core.job import JOB_SCHEMA, Job, JobFailure, JobResult, OperatorTime
from edgekit.core.measurement import CallParts
from edgekit.core.samples import Feed, read_arrays, write_arrays
from edgekit.core.system import documents
from edgekit.core.system.files import sha256_file
from edgekit.core.system.native import memory_limit, time_limit
from edgekit.runtime.backend import BACKENDS, Backend, Session, TimesOperators, default_backend
from edgekit.runtime.backends.file_kind import head_of
from edgekit.runtime.backends.native_output import stdout_to_stderr
from edgekit.runtime.energy import energy_between, read_energy
from edgekit.runtime.facts import read_texts
from edgekit.runtime.memory import freed_at_once, involuntary_switches, peak_memory_bytes, reset_peak
from edgekit.runtime.timing import Timing, paused_garbage_collection, take_values, warm_up

FROM_STDIN = "-"


class _Run(NamedTuple):
    """The measurements of one open session."""

    provider: str
    timing: Timing
    load_s: float
    first_run_s: float
    peak_memory_bytes: int | None
    nivcsw: int | None
    energy_j: float | None
    notes: tuple[str, ...]
    end_to_end: CallParts | None


def launch(job: Job) -> JobResult:
    """Run `job` in this process, which should be fresh because loading and the first run are timed.

    Raises:
        EdgekitError: The session failed; `ModelUnreadable` if the artifact's checksum is not the one in the job.
    """
    _check_artifact(job)
    feeds = read_feeds(Path(job.feeds))
    backend = _backend(job)
    engine = backend.check()
    state = read_texts()
    before = machines.facts(state)
    notes = [] if reset_peak() else ["peak memory includes the start-up of the process"]
    run = _measured(backend, job, feeds)
    if before.emulated:
        notes = ["peak memory is not reported: under emulation it would include the emulator"]
    return JobResult(
        backend=backend.name,
        engine=engine,
        provider=run.provider,
        values=run.timing.values,
        warmups=run.timing.warmups,
        load_s=run.load_s,
        first_run_s=run.first_run_s,
        peak_memory_bytes=None if before.emulated else run.peak_memory_bytes,
        nivcsw=run.nivcsw,
        energy_j=run.energy_j,
        operators=_operators(backend, job, feeds[0]),
        before=before,
        after=machines.facts(read_texts(), throttled_before=machines.throttling_bits(state)),
        notes=(*notes, *run.notes),
        end_to_end=run.end_to_end,
    )


def read_feeds(path: Path) -> list[Feed]:
    """The feeds in an .npz whose arrays are named `INDEX:INPUT`, in order of their index.

    Raises:
        UserError: The file does not exist, an array has a different name, or an index is missing.
    """
    feeds: dict[int, Feed] = {}
    for key, array in read_arrays(path, UserError).items():
        index, colon, name = key.partition(":")
        if not colon or not index.isdigit():
            raise UserError(f"'{path}' contains '{key}'; the arrays of feeds are named INDEX:INPUT, e.g. '0:x'.")
        feeds.setdefault(int(index), {})[name] = array
    if sorted(feeds) != list(range(len(feeds))) or not feeds:
        raise UserError(f"'{path}' must contain feeds 0, 1, 2 and so on, got {sorted(feeds)}.")
    return [feeds[index] for index in range(len(feeds))]


def write_outputs(path: Path, outputs: Sequence[Feed]) -> None:
    """Write the outputs of every feed as `INDEX:OUTPUT`, completely or not at all."""
    write_arrays(path, {f"{index}:{name}": array for index, feed in enumerate(outputs) for name, array in feed.items()})


def _measured(backend: Backend, job: Job, feeds: Sequence[Feed]) -> _Run:
    with ExitStack() as stack:
        with freed_at_once():
            started = time.perf_counter()
            session = stack.enter_context(backend.open(Path(job.artifact), job.options))
            opened = time.perf_counter()
            session.run(feeds[0])
            ran = time.perf_counter()
        timing, switches, energy_j = _timed(session, job, feeds[0])
        peak = peak_memory_bytes()
        if job.outputs:
            write_outputs(Path(job.outputs), [session.run(feed) for feed in feeds])
        # After everything else: Pillow and what decodes outputs are part of no other figure.
        whole = _whole_calls(session, job)
        notes = _notes(session)
        return _Run(session.provider, timing, opened - started, ran - opened, peak, switches, energy_j, notes, whole)


def _whole_calls(session: Session, job: Job) -> CallParts | None:
    if job.end_to_end is None:
        return None
    from edgekit.runtime.end_to_end import time_whole_calls

    return time_whole_calls(session, job)


def _operators(backend: Backend, job: Job, feed: Feed) -> tuple[OperatorTime, ...]:
    if not job.operators or not isinstance(backend, TimesOperators):
        return ()
    return backend.operators(Path(job.artifact), job.options, feed)


def _timed(session: Session, job: Job, feed: Feed) -> tuple[Timing, int | None, float | None]:
    """Durations of the fast path; involuntary context switches and joules while the values were taken."""
    # The states change from run to run, and the feed runs once more for the outputs.
    feed = {name: array.copy() if name in job.states.values() else array for name, array in feed.items()}
    call, limit_s = session.bind(feed), job.time_limit_s

    def feed_back(outputs: Feed) -> None:
        for output, name in job.states.items():
            if outputs[output].shape == feed[name].shape:
                np.copyto(feed[name], outputs[output])

    with paused_garbage_collection():
        warmups = warm_up(call, time_limit_s=limit_s, after=feed_back)
        before, energy = involuntary_switches(), read_energy()
        values = take_values(
            call, time_limit_s=limit_s, min_values=job.min_values, max_values=job.max_values, after=feed_back
        )
        used_j, after = energy_between(energy, read_energy()), involuntary_switches()
    return Timing(warmups, values), None if after is None or before is None else after - before, used_j


def _notes(session: Session) -> tuple[str, ...]:
    placement = getattr(session, "placement", None)
    return (str(placement),) if placement is not None else ()


def _check_artifact(job: Job) -> None:
    path = Path(job.artifact)
    head_of(path)
    try:
        digest = sha256_file(path)
    except OSError as err:
        raise from_os_error(err, f"reading '{path}'") from err
    if digest != job.sha256:
        raise ModelUnreadable(f"'{path}' is not the artifact of this job: its checksum does not match.")


def _backend(job: Job) -> Backend:
    name = job.backend or default_backend(job.format)
    backend: Backend = BACKENDS.get(name)()
    if job.format not in backend.formats():
        formats = ", ".join(backend.formats())
        raise UserError(f"Backend '{name}' opens {formats}, not {job.format}.", hint="edgekit list backends")
    return backend


def _read_job(source: str) -> Job:
    if source != FROM_STDIN:
        return documents.read(Path(source), Job, newest=JOB_SCHEMA, error=UserError)
    line = b""
    while not line.endswith(b"\n") and (more := os.read(0, 1 << 16)):
        line += more
    if line:
        _end_with_parent()
    return documents.decode(line, Job, what="The job", newest=JOB_SCHEMA, error=UserError)


def _failure(err: BaseException) -> JobFailure:
    if isinstance(err, KeyboardInterrupt):
        err = Interrupted("Interrupted.")
    if isinstance(err, EdgekitError):
        return JobFailure(**to_record(err), exit_code=err.exit_code)
    if lacking := of_the_machine(err):
        return JobFailure(**to_record(lacking), exit_code=lacking.exit_code)
    return JobFailure(error="EdgekitError", message=f"{type(err).__name__}: {err}")


def _answer(source: str) -> JobResult | JobFailure:
    try:
        return launch(_read_job(source))
    except (Exception, KeyboardInterrupt) as err:  # noqa: BLE001 # every failure must reach the parent as one line
        if not isinstance(err, EdgekitError | KeyboardInterrupt):
            sys.excepthook(type(err), err, err.__traceback__)
        return _failure(err)


def _end_with_parent() -> None:
    """End this process when its standard input closes: the parent holds the other end, and is gone then."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held here, would abort the interpreter when it ends.
        while os.read(0, 1024):
            pass
        os._exit(Interrupted.exit_code)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job in the named file, or on standard input for `-`."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1:
        sys.stderr.write("usage: python -m edgekit.runtime.launch JOB.json|-\n")
        return UserError.exit_code
    memory_limit.start()
    time_limit.start()
    with stdout_to_stderr() as stdout:
        answer = _answer(given[0])
        os.write(stdout, msgspec.json.encode(answer) + b"\n")
    return answer.exit_code if isinstance(answer, JobFailure) else 0


if __name__ == "__main__":
    sys.exit(main())
