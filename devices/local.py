"""LocalDevice: this machine; every launch is a fresh process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, Self, TypeVar

import msgspec

from edgekit.core import errors
from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError
from edgekit.core.facts import Facts
from edgekit.core.job import JOB_SCHEMA, Job, JobFailure, JobResult
from edgekit.core.system import documents

D = TypeVar("D")

# Run as a program, because devices may not import what ships to them.
LAUNCH: Final = "edgekit.runtime.launch"
FACTS: Final = "edgekit.runtime.facts"
_STDERR_LINES: Final = 5
_FACTS_TIMEOUT_S: Final = 60.0


class LocalDevice:
    """This machine. `measure` gives each job a process of its own, in its own group, which never outlives this one.

    Args:
        timeout_s: How long one launch may take before it is killed.
    """

    name = "local"

    def __init__(self, *, timeout_s: float = 600.0) -> None:
        self.timeout_s = timeout_s
        self._facts: Facts | None = None

    @property
    def emulated(self) -> bool:
        """Whether this machine's processor is software."""
        return self.facts().emulated

    def facts(self) -> Facts:
        """What is known of this machine, read once; errors as in `Device.facts`."""
        if self._facts is None:
            done = _run([FACTS], _FACTS_TIMEOUT_S)
            if done.returncode != 0:
                raise DeviceUnavailable(f"The facts of this machine cannot be read:{_tail(done.stderr)}")
            self._facts = msgspec.json.decode(done.stdout, type=Facts)
        return self._facts

    def measure(self, job: Job) -> JobResult:
        """One launch of `job` in a fresh process; errors as in `Device.measure`."""
        ended = _run([LAUNCH, "-"], self.timeout_s, msgspec.json.encode(job) + b"\n")
        return read_answer(ended, self.timeout_s)

    def close(self) -> None:
        """Nothing is left: each launch ended with its `measure`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Ended(msgspec.Struct, frozen=True):
    """A process that has ended: its exit status (negative: the signal), what it wrote, and whether it was too slow."""

    returncode: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def read_answer(ended: Ended, timeout_s: float) -> JobResult:
    """The result in the one line that a launch printed.

    Raises:
        EdgekitError: The error that the launch reported, as the same class.
        DeviceError: The launch crashed, was killed, took too long, or printed something else.
    """
    if ended.timed_out:
        raise DeviceError(
            f"The launch on 'local' took longer than {timeout_s:g} s and was stopped.{_tail(ended.stderr)}"
        )
    line = ended.stdout.strip()
    if not line:
        raise DeviceError(f"The launch on 'local' {_fate(ended.returncode)} without an answer.{_tail(ended.stderr)}")
    if ended.returncode == 0:
        return _decoded(line, JobResult)
    raise to_error(_decoded(line, JobFailure))


def to_error(failure: JobFailure) -> EdgekitError:
    """The exception that a launch reported: the class of that name in core/errors.py."""
    kind = getattr(errors, failure.error, EdgekitError)
    if not (isinstance(kind, type) and issubclass(kind, EdgekitError)):
        kind = EdgekitError
    return kind(failure.message, hint=failure.hint)


def _run(module_and_arguments: Sequence[str], timeout_s: float, line: bytes = b"") -> Ended:
    """Run a module with this interpreter and `line` as its input; it is gone afterwards, whatever happens here."""
    # The child's standard input closes when this process is gone, however it ends, and the launch then ends itself.
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stdin, os.fdopen(write_end, "wb", buffering=0) as sink:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *module_and_arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        with process:
            try:
                sink.write(line)
                stdout, stderr = process.communicate(timeout=timeout_s)
                return Ended(process.returncode, stdout, stderr)
            except subprocess.TimeoutExpired:
                _kill(process)
                stdout, stderr = process.communicate()
                return Ended(process.returncode, stdout, stderr, timed_out=True)
            finally:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _decoded(line: bytes, kind: type[D]) -> D:
    return documents.decode(line, kind, what="The answer of the launch", newest=JOB_SCHEMA, error=DeviceError)


def _fate(returncode: int) -> str:
    if returncode >= 0:
        return f"ended with status {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"


def _tail(stderr: bytes) -> str:
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return "".join(f"\n  {line}" for line in lines[-_STDERR_LINES:])
