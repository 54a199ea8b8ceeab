from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, ModelUnreadable, UserError
from edgekit.core.system.native import forks, notes
from edgekit.core.system.native.forks import apart

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks for this")
MODEL = Path("net.onnx")


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a command of edgekit."""
    monkeypatch.setattr(notes, "is_watched", lambda: True)


def test_the_work_is_done_in_another_process_and_its_result_comes_back() -> None:
    found = apart(lambda: (os.getpid(), ("x", None)), tuple[int, tuple[str, float | None]], MODEL)

    assert found[0] != os.getpid()
    assert found[1] == ("x", None)


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (signal.SIGSEGV, ModelUnreadable, r"The backend crashed \(SIGSEGV\) in 'net.onnx'."),
        (signal.SIGALRM, ModelUnreadable, r"The backend did not open .net.onnx. within 300 s"),
        (signal.SIGABRT, ModelUnreadable, "SIGABRT"),
        (signal.SIGKILL, EnvironmentFault, "no memory left"),
        (signal.SIGINT, KeyboardInterrupt, ""),
    ],
)
def test_a_signal_there_is_an_error_here(number: signal.Signals, kind: type[BaseException], says: str) -> None:
    with pytest.raises(kind, match=says or None):
        apart(lambda: os.kill(os.getpid(), number), type(None), MODEL)


def test_an_error_without_a_crash_is_raised_as_it_is() -> None:
    def fail() -> None:
        raise UserError("wrong", hint="right")

    with pytest.raises(UserError, match="wrong") as caught:
        apart(fail, type(None), MODEL)
    assert caught.value.hint == "right"


def test_a_program_that_uses_edgekit_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "is_watched", lambda: False)

    assert apart(os.getpid, int, MODEL) == os.getpid()


def test_ctrl_c_ends_native_code_in_the_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native code that never ends hears no signal: the process that waits kills it."""
    forked: list[int] = []
    fork = os.fork

    def interrupted() -> int:
        pid = fork()
        if pid:
            forked.append(pid)
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # other threads do not block it
        return pid

    def endless() -> None:
        for number in forks.STOPS:
            signal.signal(number, signal.SIG_IGN)
        while True:
            signal.pause()

    monkeypatch.setattr(os, "fork", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apart(endless, type(None), MODEL)
    assert not Path(f"/proc/{forked[0]}").exists()
