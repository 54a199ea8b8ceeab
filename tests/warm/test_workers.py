"""A worker that was forked ends as one that was started: with its parent's kill, and with its own signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from tests.warm.workers import HERE, PROGRAM

from edgekit.core.system import processes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="workers are started anew without os.pidfd_open"),
]


@pytest.fixture
def client() -> Iterator[subprocess.Popen[bytes]]:
    """What a test holds for a worker."""
    process = processes.start([sys.executable, "-P", "-m", PROGRAM, "onnx"], stderr=subprocess.DEVNULL)
    yield process
    processes.end(process)


def forked() -> list[psutil.Process]:
    """The workers of this process' servers, awaited until there is one."""
    for _ in range(300):
        servers = [one for one in psutil.Process().children() if str(HERE / "server.py") in one.cmdline()]
        found = [worker for server in servers for worker in server.children()]
        if found:
            return found
        time.sleep(0.1)
    return []


def test_a_client_that_is_killed_takes_its_worker_along(client: subprocess.Popen[bytes]) -> None:
    (worker,) = forked()

    processes.kill(client)

    worker.wait(30)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_client_ends_as_its_worker_ended(client: subprocess.Popen[bytes], number: signal.Signals) -> None:
    (worker,) = forked()

    worker.send_signal(number)

    assert client.wait(30) == -number
