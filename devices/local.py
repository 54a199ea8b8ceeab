"""LocalDevice: this machine; every launch is a fresh process."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Final, Self, TypeVar

import msgspec

from edgekit.core.errors import DeviceError, DeviceUnavailable, ModelUnreadable, from_record
from edgekit.core.facts import Facts
from edgekit.core.job import JOB_SCHEMA, Job, JobFailure, JobResult
from edgekit.core.system import documents
from edgekit.core.system.native import time_limit
from edgekit.core.system.native.forks import CRASHES
from edgekit.core.system.native.types import prepared
from edgekit.core.system.processes import Finished, run_tied

D = TypeVar("D")

# Run as a program, because devices may not import what ships to them.
LAUNCH: Final = "edgekit.runtime.launch"
FACTS: Final = "edgekit.runtime.facts"
_WITH_PACKAGES: Final = """
import runpy, sys
_, packages, *sys.argv = sys.argv
sys.path.insert(0, packages)
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_STDERR_LINES: Final = 5
_FACTS_TIMEOUT_S: Final = 60.0


class LocalDevice:
    """This machine. `measure` runs each job in its own process and process group, which never outlives this process.

    Args:
        timeout_s: The time after which a launch is killed.
        packages: A folder of packages that launches import before their own: another version of a backend.
    """

    name = "local"

    def __init__(self, *, timeout_s: float = 600.0, packages: Path | None = None) -> None:
        self.timeout_s = timeout_s
        self.packages = packages
        self._facts: Facts | None = None

    @property
    def emulated(self) -> bool:
        """Whether this machine's processor is simulated."""
        return self.facts().emulated

    def facts(self) -> Facts:
        """The facts about this machine, read once; errors as in `Device.facts`."""
        if self._facts is None:
            done = self._run(FACTS, _FACTS_TIMEOUT_S)
            if done.code != 0:
                raise DeviceUnavailable(f"Cannot read the facts about this machine:{_tail(done.err)}")
            try:
                self._facts = msgspec.json.decode(done.out, type=prepared(Facts))
            except documents.BROKEN_JSON as err:
                raise DeviceError(f"Cannot parse the facts about this machine: {err}.") from err
        return self._facts

    def measure(self, job: Job) -> JobResult:
        """One launch of `job` in a fresh process; errors as in `Device.measure`."""
        ended = self._run(LAUNCH, self.timeout_s, "-", line=msgspec.json.encode(job) + b"\n")
        if _signal(ended.code) == time_limit.ENDED_BY:
            raise time_limit.exceeded(Path(job.artifact))
        return read_answer(ended, self.timeout_s)

    def close(self) -> None:
        """Nothing to do: each launch ended with its `measure`."""

    def _run(self, module: str, timeout_s: float, *arguments: str, line: bytes = b"") -> Finished:
        """Run a module with `line` as its input; it is gone afterwards, whatever happens here."""
        return run_tied([*_python(self.packages), module, *arguments], line=line, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_answer(ended: Finished, timeout_s: float) -> JobResult:
    """The result in the line that a launch printed.

    Raises:
        EdgekitError: The error that the launch reported, as the same class.
        ModelUnreadable: The backend crashed.
        DeviceError: The launch was killed, took too long or printed something else.
    """
    if ended.is_cut:
        raise DeviceError("The launch on 'local' printed too much and was stopped.")
    if ended.timed_out:
        raise DeviceError(f"The launch on 'local' took longer than {timeout_s:g} s and was stopped.{_tail(ended.err)}")
    line = ended.out.strip()
    if not line and _signal(ended.code) in CRASHES:
        raise ModelUnreadable(f"The backend crashed ({_signal(ended.code)}) in a launch on 'local'.{_tail(ended.err)}")
    if not line:
        raise DeviceError(f"The launch on 'local' {_fate(ended.code)} without a result.{_tail(ended.err)}")
    if ended.code == 0:
        return _decoded(line, JobResult)
    failure = _decoded(line, JobFailure)
    raise from_record(failure.error, failure.message, hint=failure.hint, code=failure.code)


def _python(packages: Path | None) -> list[str]:
    """This interpreter, which runs the module that follows."""
    if packages is None:
        return [sys.executable, "-P", "-m"]
    # Without bytecode: an environment stays what was installed.
    return [sys.executable, "-P", "-B", "-c", _WITH_PACKAGES, str(packages)]


def _decoded(line: bytes, kind: type[D]) -> D:
    return documents.decode(line, kind, what="The result of the launch", newest=JOB_SCHEMA, error=DeviceError)


def _fate(code: int) -> str:
    if code >= 0:
        return f"exited with {code}"
    return f"was killed by {_signal(code)}"


def _signal(code: int) -> str:
    """The name of the signal in an exit code; empty for a program that ended by itself."""
    if code >= 0:
        return ""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _tail(complaints: str) -> str:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    return "".join(f"\n  {line}" for line in lines[-_STDERR_LINES:])
