"""Lets `make coverage` see what converters run: a plug-in of pytest, `-p tests.measured_workers`.

A worker is killed as soon as its last job has ended, and would write nothing. Here it first gets SIGTERM, at which
coverage writes what it has seen (`sigterm` in setup.cfg), and a while to do that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import Final

from edgekit.export.workers.worker import Worker

_WRITES_S: Final = 5.0


def pytest_configure() -> None:
    """Kill workers as ever, after they had the time."""
    kill = Worker.kill

    def kill_after_writing(self: Worker) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_WRITES_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it had started
        kill(self)

    Worker.kill = kill_after_writing  # type: ignore[method-assign] # for the whole run
