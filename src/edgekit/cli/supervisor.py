"""Runs a command in a child of this process: native code that hangs or crashes there leaves this one to say so.

A signal is passed on to the command, which unwinds. If it is inside native code and does not hear the signal, it is
killed. Systems without `fork` run the command in this process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.core.system.native import forks, notes

if TYPE_CHECKING:
    from types import FrameType

    from edgekit.core.errors import EdgekitError

# A terminal sends a signal to both processes: it is passed on only if the command has not heard it by itself.
_PASS_ON_S: Final = 0.15
_SAME_S: Final = 0.5
_PATIENCE_S: Final = 0.6
# A command that has not run since the signal, on a busy machine, could not hear it.
_STARVED_S: Final = 3.0
_RAN_S: Final = 0.03
_POLL_S: Final = 0.05
# The code of `Interrupted`, which is imported only where something failed.
_INTERRUPTED: Final = 130
_SHOW_CURSOR: Final = "\x1b[?25h"


class _Command:
    """A command in a child: the model that it opened last, and the signal that it has not heard yet."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self.model = ""
        self.arrived: list[tuple[int, float]] = []
        self.is_killed = False
        self._pipe = pipe
        self._rest = b""
        self._heard_at = 0.0
        self._unheard: tuple[int, float] | None = None
        self._ran_before_s = 0.0
        self._is_passed_on = False

    @property
    def has_heard(self) -> bool:
        """Whether it unwinds, and did not have to be killed."""
        return self._heard_at > 0 and not self.is_killed

    def read_notes(self) -> None:
        """Take over what the child has noted since."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._pipe, 1 << 16):
                *lines, self._rest = (self._rest + data).split(b"\n")
                for line in lines:
                    if line.startswith(notes.MODEL):
                        self.model = os.fsdecode(line[1:])
                    elif line.startswith(notes.HEARD):
                        self._heard_at = float(line[1:])

    def care(self) -> float | None:
        """Pass on or enforce what arrived; the seconds until this must be done again, or None if nothing is open."""
        for number, at in self.arrived:
            if self._unheard is None:
                self._unheard, self._is_passed_on, self._ran_before_s = (number, at), False, _ran_s(self.pid)
        self.arrived.clear()
        if self._unheard is None:
            return None
        number, at = self._unheard
        if self._heard_at > at - _SAME_S:
            self._unheard = None
            return None
        waited = time.monotonic() - at
        if waited > _PASS_ON_S and not self._is_passed_on:
            self._is_passed_on = True
            os.kill(self.pid, number)
        has_run = _ran_s(self.pid) - self._ran_before_s > _RAN_S
        if waited > (_PATIENCE_S if has_run else _STARVED_S) and not self.is_killed:
            self.is_killed = True
            os.kill(self.pid, signal.SIGKILL)
        return _POLL_S


def supervised(work: Callable[[], int], failed: Callable[[BaseException], int]) -> int:
    """The exit code of `work`, which runs in a child; only the child returns from it.

    Args:
        failed: Reports an error, and returns the exit code; called if the child could not do so itself.
    """
    if not hasattr(os, "fork"):
        return work()
    _fill_standard_streams()
    reader, writer = os.pipe()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (*forks.STOPS, signal.SIGCHLD))
    parent = os.getpid()
    try:
        pid = os.fork()
    except OSError as err:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return failed(err)
    if not pid:
        os.close(reader)
        forks.end_with(parent)
        notes.start(writer)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return work()
    os.close(writer)
    os.set_blocking(reader, False)
    command = _Command(pid, reader)
    with _woken(command, blocked) as wake:
        status = _awaited(command, wake)
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    if -code in forks.STOPS or command.has_heard:  # a second Ctrl-C, or a crash, ends a command that is unwinding
        return _INTERRUPTED
    _restore_terminal()
    return failed(_fate(command, -code))


def _fill_standard_streams() -> None:
    """Lead those that the caller has closed nowhere: a pipe or file would get the number, and what is printed there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _awaited(command: _Command, wake: int) -> int:
    """The wait status of the child."""
    while True:
        ended, status = os.waitpid(command.pid, os.WNOHANG)
        command.read_notes()
        if ended:
            return status
        select.select([wake], [], [], command.care())
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)


@contextlib.contextmanager
def _woken(command: _Command, mask: set[signal.Signals | int]) -> Iterator[int]:
    """A descriptor that is readable after a signal; those that stop a command are kept with their time."""

    def arrive(number: int, _: FrameType | None) -> None:
        command.arrived.append((number, time.monotonic()))

    wake, waker = os.pipe()
    for end in (wake, waker):
        os.set_blocking(end, False)
    for number in forks.STOPS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup and jobs in the background ignore some on purpose
            signal.signal(number, arrive)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    yield wake


def _fate(command: _Command, number: int) -> EdgekitError:
    """The error for a child that a signal ended."""
    from edgekit.cli.startup import open_s
    from edgekit.core.errors import EdgekitError, EnvironmentFault, Interrupted, ModelUnreadable
    from edgekit.core.system.native import time_limit

    if command.is_killed:
        return Interrupted("Interrupted.")
    name = signal.Signals(number).name
    if name == time_limit.ENDED_BY and command.model:
        return time_limit.exceeded(Path(command.model), open_s())
    last = f" The model that was opened last is '{command.model}'." if command.model else ""
    if name in forks.CRASHES and command.model:
        return ModelUnreadable(
            f"The backend crashed ({name}).{last}",
            hint=forks.EXPORT_AGAIN,
        )
    if name in forks.CRASHES:
        return EdgekitError(f"A package crashed ({name}).", hint="edgekit doctor")
    return EnvironmentFault(
        f"The command was killed ({name}), probably because the machine has no memory left.{last}", hint="free -h"
    )


def _ran_s(pid: int) -> float:
    """How long the main thread of a process has run; endless where the system does not say."""
    try:
        with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as stream:
            return int(stream.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return time.monotonic()


def _restore_terminal() -> None:
    """Show the cursor that a progress bar had hidden."""
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write(_SHOW_CURSOR)
