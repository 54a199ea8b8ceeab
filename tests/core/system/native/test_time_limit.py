"""Promises of core/system/native/time_limit.py: the limit ends a process that opens a model, and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core.system.native import time_limit
from edgekit.core.system.native.environment import hand_on

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timer for a process")
# The timer of a test run belongs to pytest, so a process of its own opens "models".
OPENS = """
import signal, sys, threading, time
from pathlib import Path
from edgekit.core.system.native import time_limit
if "library" not in sys.argv:
    time_limit.start(lambda: 0.2)
with time_limit.opening(Path("a.onnx")):
    if "two" in sys.argv:
        with time_limit.opening(Path("b.onnx")):
            pass
    if "quick" not in sys.argv:
        time.sleep(60 if "library" not in sys.argv else 0.5)
time.sleep(0.5)
print("done", signal.getitimer(signal.ITIMER_REAL)[0])
"""


@pytest.mark.parametrize(
    ("how", "code"), [(["slow"], -signal.SIGALRM), (["two"], -signal.SIGALRM), (["quick"], 0), (["library"], 0)]
)
def test_only_a_block_that_takes_too_long_ends_the_process(how: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", OPENS, *how], capture_output=True, text=True, check=False, timeout=50)

    assert done.returncode == code, done.stderr
    assert done.stdout == ("done 0.0\n" if code == 0 else "")


def test_the_limit_grows_with_the_file_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(bytes(2_000_000))

    assert time_limit.limit_s(tmp_path / "net.onnx", 0.0) == 302.0
    assert time_limit.limit_s(tmp_path / "gone.onnx", 0.0) == 300.0
    error = time_limit.exceeded(tmp_path / "net.onnx", 20.0)
    assert error.message == f"The backend did not open '{tmp_path / 'net.onnx'}' within 20 s."
    assert error.hint.startswith("export EDGEKIT_OPEN_S=40 ")


@pytest.mark.parametrize(("text", "limit"), [("", 0.0), ("2.5", 2.5), ("long", 0.0)])
def test_a_launch_reads_the_limit_of_its_parent(text: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(time_limit.VARIABLE, text)

    assert time_limit.from_environment() == limit


@pytest.mark.parametrize("before", ["", "5"])
@pytest.mark.parametrize(("number", "after"), [(0.0, None), (2.5, "2.5")])
def test_a_limit_that_is_not_set_is_not_in_the_environment(
    before: str, number: float, after: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(time_limit.VARIABLE, before)

    hand_on(time_limit.VARIABLE, number)

    assert os.environ.get(time_limit.VARIABLE) == after
