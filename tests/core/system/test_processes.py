"""Promises of core/system/processes.py: a program ends, with all that it started, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.core.system import processes
from edgekit.core.system.processes import Finished, end, kill, run, run_tied, start

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

# Starts a program that ignores Ctrl-C and outlives its shell, and names both.
FAMILY = "trap '' INT; sleep 60 & echo $$ $!; wait"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    last = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < last, "waited too long"
        time.sleep(0.02)


def test_output_complaints_and_code_are_given() -> None:
    found = run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=20)

    assert found == Finished(3, b"out\n", "err\n")
    assert found.text == "out"


def test_a_program_reads_a_file_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"skipped and read")
    with (tmp_path / "file").open("rb") as stream:
        stream.seek(12)

        assert run(["cat"], stdin=stream, timeout_s=20).out == b"read"


def test_without_a_file_there_is_nothing_to_read() -> None:
    assert run(["cat"], timeout_s=20) == Finished(0, b"", "")


def test_a_program_that_is_gone_by_a_signal_says_which() -> None:
    assert run(["sh", "-c", "kill -9 $$"], timeout_s=20).code == -signal.SIGKILL


def test_a_program_that_takes_too_long_is_killed_with_all_it_started() -> None:
    found = run(["sh", "-c", f"echo late >&2; {FAMILY}"], timeout_s=0.5)

    assert (found.timed_out, found.code, found.err) == (True, -signal.SIGKILL, "late\n")
    for pid in found.text.split():
        wait_until(lambda pid=int(pid): not is_running(pid))  # type: ignore[misc] # mypy infers no lambda with defaults


def test_what_outlives_its_shell_and_holds_the_output_is_killed() -> None:
    found = run(["sh", "-c", "sleep 60 & echo $!"], timeout_s=0.5)

    assert found.timed_out
    wait_until(lambda: not is_running(int(found.text)))


def test_a_daemon_that_holds_the_output_is_not_awaited_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)

    found = run(["sh", "-c", "setsid sleep 30 & echo begun; wait"], timeout_s=0.5)

    assert (found.timed_out, found.out) == (True, b"begun\n")


def test_a_line_is_given_and_the_input_stays_open() -> None:
    found = run_tied(["sh", "-c", "read line; echo $line; read more"], line=b"hello\n", timeout_s=0.5)

    assert (found.out, found.timed_out) == (b"hello\n", True)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_watches_its_input_never_outlives_this_process(sent: signal.Signals) -> None:
    code = (
        "from edgekit.core.system.processes import run_tied\n"
        "run_tied(['sh', '-c', 'echo $$ >&3; cat'], timeout_s=60)".replace("&3", "/dev/fd/1 >/proc/$PPID/fd/1")
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())

        program.send_signal(sent)
        program.wait(timeout=20)

    wait_until(lambda: not is_running(child))


def test_ctrl_c_kills_what_ignores_it() -> None:
    code = (
        "from edgekit.core.system.processes import run\n"
        f"run(['sh', '-c', {FAMILY.replace('echo', 'echo >/proc/$PPID/fd/1')!r}], timeout_s=60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout is not None
        pids = [int(pid) for pid in program.stdout.readline().split()]

        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=20)

    assert b"KeyboardInterrupt" in err
    assert len(pids) == 2
    wait_until(lambda: not any(is_running(pid) for pid in pids))


def test_a_program_is_killed_from_another_thread() -> None:
    process = start(["sh", "-c", FAMILY])
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]

    thread = threading.Thread(target=kill, args=(process,))
    thread.start()
    thread.join()

    assert process.wait(timeout=20) == -signal.SIGKILL
    wait_until(lambda: not any(is_running(pid) for pid in pids))
    end(process)
    end(process)


def test_a_program_that_was_waited_for_is_never_signalled(monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(["true"])
    process.wait(timeout=20)
    monkeypatch.setattr(os, "killpg", None)

    end(process)


def test_a_program_that_is_not_there_is_the_callers_to_explain() -> None:
    with pytest.raises(FileNotFoundError):
        run(["edgekit-no-such-program"], timeout_s=20)
