"""The programs of a fleet as processes: a scheduler, and hosts with devices."""

from __future__ import annotations

import contextlib
import gc
import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SOCKETS: Final = "unclosed <socket"


class Program:
    """An `edgekit fleet` command that has printed its document, and runs."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "edgekit", "fleet", *arguments, "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.document: dict[str, Any] = json.loads(self._first())

    def _first(self) -> str:
        assert self.process.stdout is not None
        text = ""
        for line in self.process.stdout:
            text += line
            if line.rstrip() == "}":
                return text
        raise AssertionError(self.process.communicate()[1])

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        self.process.kill()
        self.process.communicate()

    def end(self) -> int:
        """End it as Ctrl-C does: the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        return self.process.returncode


@contextlib.contextmanager
def scheduler(keys: Path | None = None, port: int = 0) -> Iterator[Program]:
    """A scheduler on this machine."""
    program = Program("serve", "--port", str(port), *_given(keys))
    try:
        yield program
    finally:
        program.end()
        _collect_sockets()


@contextlib.contextmanager
def host(address: str, devices: str, keys: Path | None = None) -> Iterator[Program]:
    """A host that has joined."""
    program = Program("join", address, "--devices", devices, *_given(keys))
    try:
        yield program
    finally:
        program.end()


def _collect_sockets() -> None:
    """Free what a client of Dask leaves open that is closed while it connects again; later it would fail other tests.

    Cancelling its `Client._reconnect` drops the stream of `tornado.tcpclient` without closing it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", SOCKETS, ResourceWarning)
        gc.collect()


def _given(keys: Path | None) -> list[str]:
    return ["--keys", str(keys)] if keys else []
