"""Work in a fork of this process: native code that crashes there costs that work, and not the command."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from edgekit.core.system.native import notes, time_limit
from edgekit.core.system.native.types import prepared

T = TypeVar("T")

STOPS: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)
# The signals of native code that fails.
CRASHES: Final = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP")
EXPORT_AGAIN: Final = "Export the model again. If that crashes as well, report it with the output of 'edgekit doctor'."
_FAILED: Final = 1
_CHUNK: Final = 1 << 16


def apart(work: Callable[[], T], kind: object, model: Path) -> T:
    """What `work` returns, done in a fork of this process.

    It is done here instead where it fails without a crash, so that its error is raised as it is; in a program that uses
    edgekit as a library, which is not forked; and on systems other than Linux.

    Args:
        kind: The type of the result, which msgspec can encode.
        model: What the native code opens.

    Raises:
        ModelUnreadable: The native code crashed.
        EnvironmentFault: The fork was killed, as the system does where no memory is left.
    """
    if not notes.is_watched() or not sys.platform.startswith("linux"):
        return work()
    import msgspec

    code, result = _forked(lambda: msgspec.msgpack.encode(work()))
    if code == 0:
        done: T = msgspec.msgpack.decode(result, type=prepared(kind))
        return done
    if code < 0:
        raise _fate(-code, model)
    return work()


def end_with(parent: int) -> None:
    """Let the system kill this process when the thread of its parent that forked it ends, where the system can."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(_FAILED)


def _forked(work: Callable[[], bytes]) -> tuple[int, bytes]:
    """The exit code of a fork (negative: the signal), and what `work` returned there."""
    reader, writer = os.pipe()
    parent, pid = os.getpid(), 0
    with os.fdopen(reader, "rb", buffering=0) as stream:
        try:
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # the fork must not unwind as this process does
            try:
                pid = os.fork()
                if not pid:
                    _do(work, writer, parent, blocked)
            finally:  # also where the system refuses a fork
                os.close(writer)
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
            result = b"".join(iter(lambda: stream.read(_CHUNK), b""))
        except BaseException:  # Ctrl-C above all: native code in the fork would not hear it
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), result


def _do(work: Callable[[], bytes], writer: int, parent: int, mask: set[signal.Signals | int]) -> None:
    """Do the work in the fork, and end it without what this process does at its own end."""
    code = _FAILED
    try:
        for number in (*STOPS, signal.SIGALRM):  # the last is that of the time limit
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        end_with(parent)
        with os.fdopen(writer, "wb") as stream:
            stream.write(work())
        code = 0
    finally:
        os._exit(code)


def _fate(number: int, model: Path) -> BaseException:
    from edgekit.core.errors import EnvironmentFault, ModelUnreadable

    name = signal.Signals(number).name
    if number in STOPS:
        return KeyboardInterrupt()
    if name == time_limit.ENDED_BY:
        return time_limit.exceeded(model)
    if name in CRASHES:
        return ModelUnreadable(f"The backend crashed ({name}) in '{model.name}'.", hint=EXPORT_AGAIN)
    return EnvironmentFault(
        f"The check of '{model.name}' was killed ({name}), probably because the machine has no memory left.",
        hint="free -h",
    )
