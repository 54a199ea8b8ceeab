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
from typing import Any

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
    assert run_tied(["cat"], timeout_s=0.3).out == b"", "nothing was given"


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


STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("sent", STOPS)
def test_a_signal_during_the_start_leaves_no_program_behind(
    sent: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[int, object]] = []
    started: list[subprocess.Popen[bytes]] = []
    before = signal.signal(sent, lambda number, frame: heard.append((number, frame)))
    own = signal.getsignal(sent)
    popen = subprocess.Popen

    def interrupted(*given: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*given, **options))
        signal.raise_signal(sent)
        assert heard == []
        return started[0]

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    try:
        process = start(["sleep", "60"])

        assert process.returncode == -signal.SIGKILL
        assert heard == [(sent, None)]
        assert signal.getsignal(sent) is own
    finally:
        signal.signal(sent, before)
        end(started[0])


def test_a_program_may_start_from_any_thread() -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(run(["sh", "-c", "exit 4"], timeout_s=20).code))
    thread.start()
    thread.join(30)

    assert codes == [4]


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run(["sh", "-c", "kill -HUP $PPID"], timeout_s=20).code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_programs_are_killed_by_the_thread_that_awaits_them_and_no_others() -> None:
    results: dict[str, Finished] = {}

    def work(name: str, program: str) -> None:
        results[name] = run(["sh", "-c", program], timeout_s=60)

    names = {"first": "sleep 60", "second": "read line; sleep 0.2; echo done"}
    threads = {name: threading.Thread(target=work, args=(name, program)) for name, program in names.items()}
    for thread in threads.values():
        thread.start()
    wait_until(lambda: len(processes._AWAITED) == 2)

    processes.kill_awaited_by({threads["first"].ident or 0})
    for thread in threads.values():
        thread.join(30)

    assert results["first"].code == -signal.SIGKILL
    assert not results["first"].timed_out
    assert results["second"] == Finished(0, b"done\n", "")
    assert processes._AWAITED == {}


@pytest.mark.parametrize("before", [None, "", "1"])
def test_python_starts_away_from_the_current_folder_only_inside_the_block(
    before: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.py").write_text("print('ran')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    if before is not None:
        monkeypatch.setenv("PYTHONSAFEPATH", before)

    with processes.away_from_here():
        inside = run([sys.executable, "-c", "import planted"], timeout_s=60)

    assert "No module named 'planted'" in inside.err
    assert os.environ.get("PYTHONSAFEPATH") == before


def test_what_is_printed_may_have_any_bytes_and_is_cut_at_the_limit() -> None:
    program = ["sh", "-c", "printf ' \\377a '; printf '\\377b' >&2"]

    assert processes.MOST_BYTES == 1 << 30
    whole = run(program, timeout_s=20, most_bytes=5)
    cut = run(program, timeout_s=20, most_bytes=3)

    assert (whole.out, whole.text, whole.err, whole.is_cut) == (b" \xffa ", "\ufffda", "\ufffdb", False)
    assert (cut.out, cut.is_cut, cut.timed_out) == (b" \xffa", True, False)


def test_the_limit_counts_what_was_printed_before() -> None:
    cut = run(["sh", "-c", "printf ab; sleep 0.2; printf cdef; sleep 60"], timeout_s=20, most_bytes=4)

    assert (cut.out, cut.is_cut, cut.timed_out) == (b"abcd", True, False)


def test_both_outputs_are_read_while_the_program_writes_more_than_a_pipe_holds() -> None:
    code = "import sys\nfor _ in range(40): sys.stdout.write('o' * 9999); sys.stderr.write('e' * 9999)"

    found = run_tied([sys.executable, "-c", code], timeout_s=60)

    assert (found.code, len(found.out), len(found.err)) == (0, 399_960, 399_960)


def test_a_program_that_closes_its_output_is_awaited_until_it_ends_or_the_time_is_over() -> None:
    assert run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 6"], timeout_s=20) == Finished(6, b"", "")
    late = run(["sh", "-c", "exec >&- 2>&-; sleep 60"], timeout_s=0.3)
    assert (late.code, late.timed_out) == (-signal.SIGKILL, True)


def test_the_end_of_a_program_that_reads_nothing_is_no_error() -> None:
    process = start(["sleep", "60"])
    assert process.stdin is not None
    process.stdin.write(b"unread")

    end(process)

    assert process.returncode == -signal.SIGKILL
    assert all(stream is not None and stream.closed for stream in (process.stdin, process.stdout, process.stderr))


def test_every_program_has_a_session_of_its_own() -> None:
    found = run(["sh", "-c", "cut -d ' ' -f 1,6 /proc/$$/stat"], timeout_s=20)

    pid, session = found.text.split()
    assert pid == session != str(os.getsid(0))
