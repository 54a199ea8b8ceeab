"""Shell: a machine that stores files and runs commands; and what the transports that use a host program share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from edgekit.core.errors import DeviceError, DeviceUnavailable, DiskFull, EdgekitError
from edgekit.core.system import processes
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.frames import Frame

COMMAND_TIMEOUT_S: Final = 60.0
# The least speed at which a transfer is still believed to get anywhere.
SLOWEST_BYTES_PER_S: Final = 50_000
# What a command may print: facts and lists are short, and only a launch returns outputs.
LONGEST_REPLY_BYTES: Final = 16 << 20
LONGEST_OUTPUTS_BYTES: Final = 1 << 30
_SHOWN: Final = 500
_FULL: Final = "No space left on device"


class Shell(Protocol):
    """Files and POSIX shell commands on another machine. `root` is edgekit's folder there.

    `root` is text for that machine's shell; the paths of `put` are relative to it. Results come back as a command's
    output, and a command started with `alive` ends when its input is closed: no file to fetch, no process to find.
    """

    name: str
    root: str

    def run(
        self, command: str, *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Finished:
        """Run `command`; an exit code other than 0 does not raise.

        Args:
            stdin: A file that the command reads from its current position.
            alive: Keep the command's standard input open while this process and the connection live.

        Raises:
            DeviceUnavailable: There is no connection, it was lost, or the time limit was reached.
            DeviceError: The device refuses the connection.
        """

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        """Append the bytes of `source` from `offset` to the file `path`.

        Raises:
            DiskFull: No space is left there; the file is removed.
        """

    def close(self) -> None:
        """Close the connection; commands that still run through it end."""


class ProgramShell(ABC):
    """A Shell that reaches the device with a program of the host: `ssh` or `adb`."""

    name: str
    root: str

    @abstractmethod
    def connect(self) -> None:
        """Open the connection if needed; errors as in `Shell.run`."""

    @abstractmethod
    def arguments(self, command: str) -> Sequence[str]:
        """The host's command line that runs `command` on the device, in a POSIX shell."""

    @abstractmethod
    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """Why a command did not run to its end, from what the host's program printed.

        Args:
            has_begun: The shell on the device started it.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    def run(
        self, command: str, *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> Finished:
        """Run `command`, as in `Shell.run`."""
        self.connect()
        frame = Frame()
        arguments = self.arguments(frame.around(command))
        finished = run_program(self.name, arguments, stdin=stdin, alive=alive, timeout_s=timeout_s)
        inside = frame.inside(finished)
        if inside is None:
            raise self.problem(finished, has_begun=frame.has_begun(finished))
        return inside

    def put(self, source: Path, path: str, *, offset: int = 0) -> None:
        """Append a file, as in `Shell.put`."""
        timeout_s = COMMAND_TIMEOUT_S + (source.stat().st_size - offset) / SLOWEST_BYTES_PER_S
        with source.open("rb") as stream:
            stream.seek(offset)
            target = f'"{self.root}/{path}"'
            command = f"cat >> {target} || {{ rm -f {target}; exit 1; }}"
            succeeded(self, self.run(command, stdin=stream, timeout_s=timeout_s), f"storing '{path}'")


def succeeded(shell: Shell, finished: Finished, doing: str) -> Finished:
    """Return `finished` if its exit code is 0.

    Raises:
        DiskFull, DeviceError: The command failed.
    """
    if finished.code == 0:
        return finished
    raise complaint(shell.name, finished, doing)


def complaint(name: str, finished: Finished, doing: str) -> EdgekitError:
    """The error for a command that failed on the device."""
    if _FULL in finished.err:
        return DiskFull(f"'{name}' ran out of disk space while {doing}.", hint=f"edgekit devices clean {name}")
    said = finished.err.strip().splitlines()[-1:] or [f"exit code {finished.code}"]
    return DeviceError(f"'{name}' failed while {doing}: {shortened(said[0])}", hint=f"edgekit devices check {name}")


def shortened(said: str) -> str:
    """What a device said, on one line of at most 500 characters."""
    line = " ".join(said.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def run_program(
    name: str, arguments: Sequence[str], *, stdin: IO[bytes] | None = None, alive: bool = False, timeout_s: float
) -> Finished:
    """Run the host program that reaches the device `name`.

    Raises:
        DeviceUnavailable: It did not end in time, and was killed.
        DeviceError: It printed more than any command of edgekit prints, and was killed.
    """
    if alive:
        finished = processes.run_tied(arguments, timeout_s=timeout_s, most_bytes=LONGEST_OUTPUTS_BYTES)
    else:
        finished = processes.run(arguments, stdin=stdin, timeout_s=timeout_s, most_bytes=LONGEST_REPLY_BYTES)
    if finished.is_cut:
        raise DeviceError(
            f"'{name}' printed more than {len(finished.out) >> 20} MiB.", hint=f"edgekit devices check {name}"
        )
    if finished.timed_out:
        raise DeviceUnavailable(
            f"No response from '{name}' within {timeout_s:.0f} s.", hint=f"edgekit devices check {name}"
        )
    return finished
