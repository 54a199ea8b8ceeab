"""The tests do not depend on how they were started: Ctrl-C reaches what they start, whatever their shell ignores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

IGNORED = ["sh", "-c", "trap '' INT && exec \"$@\"", "sh"]
DISPOSITION = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="starts programs with a shell that ignores a signal")


def test_what_a_test_starts_obeys_ctrl_c() -> None:
    done = subprocess.run([sys.executable, "-c", DISPOSITION], capture_output=True, text=True, check=True)

    assert done.stdout == "True\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_a_test_starts_obeys_ctrl_c_in_the_background_too(request: pytest.FixtureRequest) -> None:
    test = f"{request.path}::{test_what_a_test_starts_obeys_ctrl_c.__name__}"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]

    done = subprocess.run([*IGNORED, *tests], cwd=request.config.rootpath, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_command_that_was_started_to_ignore_ctrl_c_goes_on() -> None:
    """As a job in the background of a script: Ctrl-C is meant for the script."""
    code = (
        "import signal\n"
        "from edgekit.cli.startup import prepare\n"
        "prepare()\n"
        "signal.raise_signal(signal.SIGINT)\n"
        "from edgekit.cli.main import run\n"
        "run(['--version'])"
    )

    done = subprocess.run([*IGNORED, sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("edgekit")


UNWINDING = """
import os, signal
from edgekit.cli.startup import prepare
prepare()
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    try:
        signal.raise_signal(getattr(signal, name))
    except KeyboardInterrupt:
        print(name, "unwinds")
"""


def test_each_signal_that_stops_a_command_unwinds_it() -> None:
    done = subprocess.run([sys.executable, "-c", UNWINDING], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["SIGINT unwinds", "SIGTERM unwinds", "SIGHUP unwinds"]


SUPERVISED = """
import os, signal, sys
from edgekit.cli import supervisor
from edgekit.cli.startup import prepare

def work():
    prepare()
    try:
        os.kill(os.getppid(), getattr(signal, sys.argv[1]))
        signal.pause()
    except KeyboardInterrupt:
        os.write(1, b"unwound\\n")
    os._exit(7)

sys.exit(supervisor.supervised(work, lambda err: 99))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_to_the_command_reaches_the_process_that_works(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", SUPERVISED, name], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (7, "unwound\n", "")
