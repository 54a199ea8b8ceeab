"""Workers that find their converter imported: a test pays for the conversion, and once a run for the import.

They are processes of their own, as always, and run the same program. A worker starts from nothing where a test changes
the environment of its imports, and in every command that a test starts as a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from edgekit.core.system import processes

HERE: Final = Path(__file__).parent
PROGRAM: Final = "edgekit.export.workers.main"
# By the toolchain of a worker. A module alone is run where ONNX is written: by PyTorch.
CONVERTERS: Final = {"onnx": "onnx", "torch": "onnx", "tflite": "tflite"}
# Variables that decide what an import finds, or that a package reads as it is imported; others reach a warm worker.
READ_BY_IMPORTS: Final = ("PYTHON", "LD_", "HF_", "TORCH")


@contextmanager
def warm_workers(folder: Path) -> Iterator[None]:
    """Inside the block, this process gets its workers from servers, whose sockets are in `folder`."""
    if not hasattr(os, "pidfd_open"):
        yield
        return
    cold, imported, servers = processes.start, _imports(), _Servers(folder)

    def start(arguments: Sequence[str], **streams: Any) -> subprocess.Popen[bytes]:
        if arguments[-2:-1] == [PROGRAM] and arguments[-1] in CONVERTERS and _imports() == imported:
            path = servers.socket_of(CONVERTERS[arguments[-1]])
            if path:
                arguments = [sys.executable, "-I", "-S", str(HERE / "client.py"), str(path)]
        return cold(arguments, **streams)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes, "start", start)
        try:
            yield
        finally:
            servers.close()


def _imports() -> Mapping[str, str]:
    """The part of the environment that imports read."""
    return {name: value for name, value in os.environ.items() if name.startswith(READ_BY_IMPORTS)}


class _Servers:
    """A server for each converter, started when a test first needs it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def socket_of(self, converter: str) -> Path | None:
        """Where a client finds the server; None if the converter cannot be imported here."""
        path = self._folder / converter
        if converter not in self._processes:
            self._processes[converter] = self._started(converter, path)
        return path if self._processes[converter].poll() is None and path.exists() else None

    def _started(self, converter: str, path: Path) -> subprocess.Popen[bytes]:
        with (self._folder / f"{converter}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", str(HERE / "server.py"), converter, str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        return process

    def close(self) -> None:
        """End every server."""
        for process in self._processes.values():
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()
