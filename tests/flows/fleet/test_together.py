"""The end of work on several devices."""

from __future__ import annotations

import threading

import pytest

from edgekit.core.system.progress import Silent
from edgekit.flows.fleet.together import THREADS, Stop


def test_a_device_that_does_not_respond_delays_ctrl_c_by_less_than_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    patience: list[float] = []
    released = threading.Event()
    join = threading.Thread.join

    def noted(thread: threading.Thread, timeout: float | None = None) -> None:
        if pressed.is_set() and thread.name == "edgekit silent":
            patience.append(timeout or 0.0)
        join(thread, 0.0 if pressed.is_set() else timeout)

    def press(stop: Stop) -> None:
        pressed.set()
        raise KeyboardInterrupt

    def silent(stop: Stop) -> None:
        released.wait(60)

    pressed = threading.Event()
    monkeypatch.setattr(threading.Thread, "join", noted)
    with pytest.raises(KeyboardInterrupt):
        THREADS.run({"silent": silent, "pi": press}, Silent())
    released.set()

    # The short ones are looks at who still works, before the signal is acted on.
    assert 0 < sum(seconds for seconds in patience if seconds > 0.1) < 1
