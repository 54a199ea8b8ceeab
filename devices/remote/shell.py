"""Shell: a machine that takes files and runs commands, and the part that transports by a program of the host share."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol

from edgekit.core.errors import DeviceError, DeviceUnavailable, DiskFull, EdgekitError

COMMAND_TIMEOUT_S: Final = 60.0
# The least speed at which a transfer is still believed to get anywhere.
SLOWEST_BYTES_PER_S: Final = 50_000
_FULL: Final = "No space left on device"


@dataclass(frozen=True)
class Finished:
    """A command that ended: its exit code, what it printed, and what it complained about."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """What it printed, as text without surrounding blanks."""
        return self.out.decode(errors="replace").strip()


class Shell(Protocol):
    """Files and POSIX shell commands on another machine. `root` is the folder there that edgekit owns.

    `root` is text for that machine's shell; the path of `put` is below it. What a command writes comes back as its
    output, and a command that was started `alive` is ended by ending its input: no file to fetch, no process to find.
    """

    name: str
    root: str

    def run(
        self, command: str, *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Finished:
        """Run `command`; an exit code of its own is no error.

        Args:
            stdin: A file that the command reads, from its present position on.
            alive: Keep the command's standard input open as long as this process and the connection live.

        Raises:
            DeviceUnavailable: No connection, or it was lost, or the time is over.
            DeviceError: The device refuses the connection.
        """

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        """Append the bytes of `source` from `offset` on to the file `path`.

        Raises:
            DiskFull: No space is left there; the file is removed.
        """

    def close(self) -> None:
        """End the connection; what still runs on its behalf ends with it."""


class ProgramShell(ABC):
    """A Shell that reaches the device by a program of the host: `ssh` or `adb`."""

    name: str
    root: str

    @abstractmethod
    def connect(self) -> None:
        """Make sure that there is a connection; errors as in `Shell.run`."""

    @abstractmethod
    def arguments(self, command: str) -> Sequence[str]:
        """The host's command line that runs `command` on the device."""

    @abstractmethod
    def problem(self, finished: Finished) -> EdgekitError | None:
        """What the transport itself reports, or None when the command ran."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def run(
        self, command: str, *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Finished:
        """Run `command`, as in `Shell.run`."""
        self.connect()
        try:
            finished = run_program(self.arguments(as_posix(command)), stdin=stdin, alive=alive, timeout_s=timeout_s)
        except subprocess.TimeoutExpired as err:
            raise DeviceUnavailable(
                f"No answer from '{self.name}' within {timeout_s:.0f} s.", hint=f"edgekit devices check {self.name}"
            ) from err
        problem = self.problem(finished)
        if problem is not None:
            raise problem
        return finished

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        """Append a file, as in `Shell.put`."""
        timeout_s = COMMAND_TIMEOUT_S + (source.stat().st_size - offset) / SLOWEST_BYTES_PER_S
        with source.open("rb") as stream:
            stream.seek(offset)
            target = f'"{self.root}/{path}"'
            command = f"cat >> {target} || {{ rm -f {target}; exit 1; }}"
            succeeded(self, self.run(command, stdin=stream, timeout_s=timeout_s), f"storing '{path}'")


def succeeded(shell: Shell, finished: Finished, doing: str) -> Finished:
    """`finished` when its exit code is 0.

    Raises:
        DiskFull, DeviceError: As its complaint says.
    """
    if finished.code == 0:
        return finished
    raise complaint(shell.name, finished, doing)


def complaint(name: str, finished: Finished, doing: str) -> EdgekitError:
    """The error for a command that failed on the device."""
    if _FULL in finished.err:
        return DiskFull(f"'{name}' has no space left while {doing}.", hint=f"edgekit devices clean {name}")
    said = finished.err.strip().splitlines()[-1:] or [f"exit code {finished.code}"]
    return DeviceError(f"'{name}' failed while {doing}: {said[0]}", hint=f"edgekit devices check {name}")


def as_posix(command: str) -> str:
    """`command` for a login shell of any kind: run by sh, complaining in English."""
    return f"LC_ALL=C exec sh -c {shlex.quote(command)}" if not command.startswith("exec ") else command


def run_program(
    arguments: Sequence[str], *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float
) -> Finished:
    """Run a program of this machine in a session of its own; whatever happens, it has ended afterwards.

    Raises:
        subprocess.TimeoutExpired: It did not end in time, and was killed.
    """
    with _input(stdin, alive) as source:
        process = subprocess.Popen(
            arguments, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            end(process)
    return Finished(process.returncode, out, err.decode(errors="replace"))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all it started, unless it has ended, and let go of its streams."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()


@contextlib.contextmanager
def _input(stdin: IO[bytes] | None, alive: bool) -> Iterator[IO[bytes] | int]:
    """What a program reads: a file, nothing, or a pipe that closes when the block or this process ends."""
    if not alive:
        yield subprocess.DEVNULL if stdin is None else stdin
        return
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)
