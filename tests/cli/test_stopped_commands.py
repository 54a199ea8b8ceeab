"""Every command is stopped while it works: it says so, ends in 130, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.cli.every_command import EVERY, STOPPED_BY_CI, Row, files

Run = Callable[..., Any]


ENDLESS = """
import pkgutil, sys, time
place, _, name = sys.argv.pop(1).rpartition(".")

def endless(*arguments, **options):
    print("works", file=sys.stderr, flush=True)
    time.sleep(600)

setattr(pkgutil.resolve_name(place), name, endless)
from edgekit.cli.main import main
main()
"""


@pytest.mark.parametrize("row", EVERY)
def test_ctrl_c_ends_in_130_and_leaves_nothing(edgekit: Run, made: Path, row: Row) -> None:
    edgekit(*row.before.split())

    _stop(row, made.parent, signal.SIGINT)


@pytest.mark.parametrize("row", STOPPED_BY_CI)
def test_a_stop_of_the_job_by_ci_unwinds_like_ctrl_c(made: Path, row: Row) -> None:
    _stop(row, made.parent, signal.SIGTERM)


def _stop(row: Row, folder: Path, sent: signal.Signals) -> None:
    """Stop the command while it works; fails unless it says so, ends in 130, and leaves no file and no process."""
    program_ = ["-m", "edgekit"] if row.stage else ["-c", ENDLESS, row.stops_at]
    before = files(folder)

    with subprocess.Popen(
        [sys.executable, *program_, *row.words()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _wait_for(process, row.stage or "works")
        helpers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    assert out == ""
    assert row.said in err
    assert "Traceback" not in err
    assert psutil.wait_procs(helpers, timeout=20)[1] == []
    assert before.keys() <= files(folder).keys()
    left = {path: facts for path, facts in files(folder).items() if before.get(path) != facts}
    assert [path for path in left if not row.keeps or row.keeps not in path or "/." in path] == []


def _wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Return when the process has written a line that ends with `text` to stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(text):
            return
    raise AssertionError(f"ended with {process.wait()} before '{text}'")


def test_ctrl_c_in_the_first_moment_ends_in_130(made: Path) -> None:
    """While packages load, before any command runs."""
    script = """
import signal
from edgekit.cli import startup
from edgekit.cli.main import main
startup.prepare = lambda _: signal.raise_signal(signal.SIGINT)
main()
"""

    done = subprocess.run(
        [sys.executable, "-c", script, "list", "recipes"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


PRESSED = """
import importlib.abc, os, signal, sys

class Pressed(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == at and self in sys.meta_path:
            sys.meta_path.remove(self)
            os.killpg(0, signal.SIGINT)

at = sys.argv.pop(1)
sys.meta_path.insert(0, Pressed())
from edgekit.cli.main import main
main()
"""


@pytest.mark.parametrize(
    "module",
    [
        "edgekit.cli.supervisor",
        "edgekit.cli.startup",
        "edgekit.cli.program",
        "click",
        "click.exceptions",
        "click.termui",
        "msgspec",
        "edgekit.cli.commands.list",
        "edgekit.flows.list",
        "numpy",
    ],
)
def test_ctrl_c_while_packages_load_is_one_line(module: str, made: Path) -> None:
    """From a terminal, which tells both processes; some packages do not load again after their import was stopped."""
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, module, "list", "recipes"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


AT_THE_END = """
import os, signal, sys, time
from edgekit.cli import main

end = main._end

def pressed(code):
    print("ends", flush=True)
    os.killpg(0, signal.SIGINT)
    time.sleep(0.05)
    end(code)

main.run = lambda arguments: 0
main._end = pressed
main.main()
"""


def test_ctrl_c_after_the_last_word_changes_nothing(made: Path) -> None:
    """While both processes end: the command, and the one that waits for it."""
    done = subprocess.run(
        [sys.executable, "-c", AT_THE_END],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        start_new_session=True,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\nends\n", "")


CRASHES_AT_THE_END = """
import os, signal
from edgekit.cli import main

def run(arguments):
    os.kill(os.getpid(), signal.SIGINT)

main.run = run
main._failed = lambda err, arguments: os.abort()
main.main()
"""


def test_a_crash_at_the_end_of_an_interrupted_command_does_not_change_its_exit_code(made: Path) -> None:
    """As of a library whose threads still run when the process ends."""
    done = subprocess.run(
        [sys.executable, "-c", CRASHES_AT_THE_END],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
