"""Starts, awaits and kills programs, each in its own session, so that one signal ends everything that it started.

Ctrl-C in a terminal reaches only this process, which then kills them. A child that must not outlive this process exits
when its standard input closes, which happens however this process ends; Linux' parent-death signal would already come
when the thread that started the child ends.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import IO, Final

from edgekit.core.system.native import memory_limit
from edgekit.core.system.native.forks import STOPS

# How long the output of a killed program is awaited: one of another session may hold the other end of its pipes.
_GRACE_S: Final = 5.0
MOST_BYTES: Final = 1 << 30
_CHUNK: Final = 1 << 16
# The programs that some thread awaits, with that thread.
_AWAITED: Final[dict[subprocess.Popen[bytes], int]] = {}


@dataclass(frozen=True)
class Finished:
    """A program that ended: exit code (negative: the signal), output, error output, and whether it timed out.

    `is_cut`: it printed more than it may, and was killed.
    """

    code: int
    out: bytes
    err: str
    timed_out: bool = False
    is_cut: bool = False

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
        memory_limit.lift(process.pid)
        if arrived:
            end(process)
    return process


def run(
    arguments: Sequence[str], *, timeout_s: float, stdin: IO[bytes] | None = None, most_bytes: int = MOST_BYTES
) -> Finished:
    """Run a program to its end, or kill it after `timeout_s`; in any case it has ended afterwards.

    Args:
        stdin: A file that it reads, from its current position.
        most_bytes: What it may print to its output or its error output; it is killed when it prints more.
    """
    with _started(arguments, subprocess.DEVNULL if stdin is None else stdin) as process:
        return _finished(process, timeout_s, most_bytes)


def run_tied(
    arguments: Sequence[str], *, timeout_s: float, line: bytes = b"", most_bytes: int = MOST_BYTES
) -> Finished:
    """Like `run`; standard input contains `line`, then stays open as long as the program and this process run."""
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as stdin,
        os.fdopen(writer, "wb", buffering=0) as sink,
        _started(arguments, stdin) as process,
    ):
        sink.write(line)
        return _finished(process, timeout_s, most_bytes)


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
    held = STOPS if threading.current_thread() is threading.main_thread() else ()
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


def _finished(process: subprocess.Popen[bytes], timeout_s: float, most_bytes: int) -> Finished:
    printed = _Printed(process, most_bytes)
    deadline = monotonic() + timeout_s
    has_ended = printed.read_until(deadline)
    if has_ended and not printed.is_cut:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            has_ended = False
    if not has_ended or printed.is_cut:
        kill(process)
    if not has_ended:
        printed.read_until(monotonic() + _GRACE_S)
    out, err = printed.contents
    return Finished(process.wait(), out, err.decode(errors="replace"), not has_ended, printed.is_cut)


class _Printed:
    """What a program prints to its output and its error output, at most `most_bytes` to each."""

    def __init__(self, process: subprocess.Popen[bytes], most_bytes: int) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._open = [process.stdout, process.stderr]
        self._read = {stream: bytearray() for stream in self._open}
        self._most_bytes = most_bytes
        self.is_cut = False

    @property
    def contents(self) -> list[bytes]:
        """What was read of each."""
        return [bytes(read) for read in self._read.values()]

    def read_until(self, deadline: float) -> bool:
        """Read until both are closed, or one is too long; False if neither is so at `deadline`."""
        with selectors.DefaultSelector() as selector:
            for stream in self._open:
                selector.register(stream, selectors.EVENT_READ, stream)
            while self._open and not self.is_cut:
                ready = selector.select(max(0.0, deadline - monotonic()))
                if not ready:
                    return False
                for key, _ in ready:
                    self._take(key.data, selector)
        return True

    def _take(self, stream: IO[bytes], selector: selectors.BaseSelector) -> None:
        read = self._read[stream]
        part = os.read(stream.fileno(), _CHUNK)
        if not part:
            selector.unregister(stream)
            self._open.remove(stream)
        read += part[: self._most_bytes - len(read)]
        self.is_cut = self.is_cut or len(read) == self._most_bytes
