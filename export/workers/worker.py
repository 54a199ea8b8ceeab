"""The parent's side of a worker: starts a process, sends it jobs, waits for replies, and kills it."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from edgekit.core.errors import ConversionFailed, EdgekitError, from_record
from edgekit.core.system import processes
from edgekit.core.system.native.types import prepared
from edgekit.export import messages

_TAIL_BYTES: Final = 4000
_TAIL_LINES: Final = 6
_log = logging.getLogger(__name__)


class Worker:
    """One worker process for one toolchain; a context manager. Started by its first job, or by `start`.

    What it and its converters print is kept for the error message. After a failure without a reply (time-out, crash,
    invalid reply) the process is killed, and the next job starts a fresh one.
    """

    def __init__(self, toolchain: str, *, timeout_s: float) -> None:
        self.toolchain = toolchain
        self.timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._pending = b""
        self._is_closed = False
        # `stop` must not miss a process that another thread is just starting.
        self._starting = threading.Lock()
        self._is_loading = False

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process if there is none."""
        with self._starting:
            if self._is_closed:
                raise ConversionFailed(f"The {self.toolchain} converter was stopped.")
            if self._process is None:
                self._pending = b""
                command = [sys.executable, "-P", "-m", "edgekit.export.workers.main", self.toolchain]
                self._process = processes.start(command, stderr=self._log)

    def send(self, job: messages.Question) -> None:
        """Send the worker a job; `receive` returns its reply, and notices if the worker died."""
        self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._log.seek(0)
        self._log.truncate()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(msgspec.json.encode(job) + b"\n")
            self._process.stdin.flush()

    def receive(self, what: str) -> messages.Reply:
        """The reply to the oldest job, which did `what`.

        Raises:
            EdgekitError: What the worker reported, of its own class.
            ConversionFailed: Time-out, crash, killed, or an invalid reply.
        """
        try:
            line = self._line(what)
            reply = msgspec.json.decode(line, type=prepared(messages.Reply))
        except (msgspec.DecodeError, msgspec.ValidationError) as err:
            self.kill()
            raise self._failed(what, f"its reply is invalid: {line[:80]!r}") from err
        except BaseException:
            self.kill()
            raise
        if reply.failure is not None:
            raise self._reported(what, reply.failure)
        return reply

    def load(self, job: messages.Load) -> None:
        """Let the worker import and build what it needs, without waiting for it."""
        self.send(job)
        self._is_loading = True

    def finish_loading(self) -> None:
        """Wait until `load` is done; errors as in `receive`."""
        if self._is_loading:
            self._is_loading = False
            self.receive("loading the module")

    def ask(self, job: messages.Question, what: str) -> messages.Reply:
        """`send` and `receive` in one."""
        self.send(job)
        return self.receive(what)

    def stop(self) -> None:
        """End the process and its children at once, from any thread; a thread that waits for a reply gets an error."""
        with self._starting:
            self._is_closed = True
            if self._process is not None:
                processes.kill(self._process)

    def kill(self) -> None:
        """End the process and its children at once; a later job starts a fresh one."""
        process, self._process = self._process, None
        if process is not None:
            processes.end(process)

    def close(self) -> None:
        """End the process for good."""
        self._is_closed = True
        self.kill()
        self._log.close()

    def _line(self, what: str) -> bytes:
        process = self._process
        if process is None or process.stdout is None:
            raise ConversionFailed(f"The {self.toolchain} converter was stopped while {what}.")
        handle = process.stdout.fileno()
        deadline = time.monotonic() + self.timeout_s
        while b"\n" not in self._pending:
            rest = deadline - time.monotonic()
            if rest <= 0:
                raise self._failed(what, f"no reply within {self.timeout_s:g} s", hint="--timeout SECONDS")
            if not select.select([handle], [], [], min(rest, 1.0))[0]:
                continue
            data = os.read(handle, 1 << 16)
            if not data:
                raise self._died(what, process)
            self._pending += data
        line, _, self._pending = self._pending.partition(b"\n")
        return line

    def _died(self, what: str, process: subprocess.Popen[bytes]) -> ConversionFailed:
        code = process.wait()
        if code == -signal.SIGKILL:
            return self._failed(
                what, "it was killed (signal 9), probably because it used too much memory", hint="free -h"
            )
        if code < 0:
            return self._failed(what, f"it crashed ({signal.Signals(-code).name})")
        return self._failed(what, f"it exited with code {code} without a reply")

    def _reported(self, what: str, failure: messages.WorkerFailure) -> EdgekitError:
        if failure.trace:
            _log.debug("%s", failure.trace)
        return from_record(
            failure.error, failure.message, hint=failure.hint, code=failure.code, otherwise=partial(self._failed, what)
        )

    def _failed(self, what: str, reason: str, hint: str = "") -> ConversionFailed:
        chatter = "".join(f"\n  | {line}" for line in self._chatter())
        return ConversionFailed(f"The {self.toolchain} converter failed while {what}: {reason}.{chatter}", hint=hint)

    def _chatter(self) -> list[str]:
        """The last lines the worker printed."""
        if self._log.closed:
            return []
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), _TAIL_BYTES, max(0, size - _TAIL_BYTES))
        lines = [line.rstrip() for line in data.decode(errors="replace").splitlines()]
        return [line[:200] for line in lines if line.strip()][-_TAIL_LINES:]


@contextlib.contextmanager
def workers_of(formats: Iterable[str], *, timeout_s: float) -> Iterator[dict[str, Worker]]:
    """One worker a format; all are ended when the block ends, however it ends."""
    workers = {name: Worker(name, timeout_s=timeout_s) for name in formats}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.close()
