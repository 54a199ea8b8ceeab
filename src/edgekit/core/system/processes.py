"""Starts, awaits and kills programs, each in its own session, so that one signal ends everything that it started.

Ctrl-C in a terminal reaches only this process, which then kills them. A child that must not outlive this process exits
when its standard input closes, which happens however this process ends; Linux' parent-death signal would already come
when the thread that started the child ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

# How long the output of a killed program is awaited: one of another session may hold the other end of its pipes.
_GRACE_S: Final = 5.0
_UNWINDING: Final = tuple(
    signal.Signals[name] for name in ("SIGINT", "SIGTERM", "SIGHUP") if name in signal.Signals.__members__
)
# The programs that some thread awaits, with that thread.
_AWAITED: Final[dict[subprocess.Popen[bytes], int]] = {}


@dataclass(frozen=True)
class Finished:
    """A program that ended: exit code (negative: the signal), output, error output, and whether it timed out."""

    code: int
    out: bytes
    err: str
    timed_out: bool = False

    @property
    def text(self) -> str:
        """Its output as text, without surrounding white space."""
        return self.out.decode(errors="replace").strip()


def start(
    arguments: Sequence[str],
    *,
    stdin: IO[bytes] | int = subprocess.PIPE,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start a program in its own session; the caller calls `end`. Ctrl-C during the start leaves no program behind."""
    with _signals_held() as arrived:
        process = subprocess.Popen(arguments, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
        if arrived:
            end(process)
    return process


def run(arguments: Sequence[str], *, timeout_s: float, stdin: IO[bytes] | None = None) -> Finished:
    """Run a program to its end, or kill it after `timeout_s`; in any case it has ended afterwards.

    Args:
        stdin: A file that it reads, from its current position.
    """
    with _started(arguments, subprocess.DEVNULL if stdin is None else stdin) as process:
        return _finished(process, timeout_s)


def run_tied(arguments: Sequence[str], *, timeout_s: float, line: bytes = b"") -> Finished:
    """Like `run`; standard input contains `line`, then stays open as long as the program and this process run."""
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as stdin,
        os.fdopen(writer, "wb", buffering=0) as sink,
        _started(arguments, stdin) as process,
    ):
        sink.write(line)
        return _finished(process, timeout_s)


@contextlib.contextmanager
def away_from_here() -> Iterator[None]:
    """Python programs that start in the block do not import from the current folder, which others may have filled.

    Where edgekit writes the command itself, `-P` says so; the commands of multiprocessing obey only the environment.
    """
    name, before = "PYTHONSAFEPATH", os.environ.get("PYTHONSAFEPATH")
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything it started, from any thread; does nothing if it has already been awaited."""
    if process.returncode is not None:  # its number may be another program's by now
        return
    if not hasattr(os, "killpg"):
        process.kill()
        return
    # PermissionError: what macOS says of a group whose members have all ended.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and everything it started, close its streams, and wait for it."""
    kill(process)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    process.wait()


def kill_awaited_by(threads: Container[int]) -> None:
    """Kill the programs that `run` and `run_tied` await in these threads, by identifier; the calls return at once."""
    for process, thread in list(_AWAITED.items()):
        if thread in threads:
            kill(process)


@contextlib.contextmanager
def _signals_held() -> Iterator[list[int]]:
    """Signals that would unwind this thread arrive in the list, and are acted on when the block ends."""
    arrived: list[int] = []
    held = _UNWINDING if threading.current_thread() is threading.main_thread() else ()
    before = {number: handler for number in held if callable(handler := signal.getsignal(number))}
    try:
        for number in before:
            signal.signal(number, lambda number, _: arrived.append(number))
        yield arrived
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in arrived:
            before[signal.Signals(late)](late, None)


@contextlib.contextmanager
def _started(arguments: Sequence[str], stdin: IO[bytes] | int) -> Iterator[subprocess.Popen[bytes]]:
    process = start(arguments, stdin=stdin)
    _AWAITED[process] = threading.get_ident()
    try:
        yield process
    finally:
        end(process)
        del _AWAITED[process]


def _finished(process: subprocess.Popen[bytes], timeout_s: float) -> Finished:
    try:
        out, err = process.communicate(timeout=timeout_s)
        return Finished(process.returncode, out, err.decode(errors="replace"))
    except subprocess.TimeoutExpired:
        kill(process)
        out, err = _rest(process)
        return Finished(process.wait(), out, err.decode(errors="replace"), timed_out=True)


def _rest(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What a killed program had written."""
    try:
        return process.communicate(timeout=_GRACE_S)
    except subprocess.TimeoutExpired as late:
        return late.stdout or b"", late.stderr or b""
