"""What is cleaned up when Ctrl-C arrives is cleaned up whole."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekit.cli import startup
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.native import stops


@pytest.fixture(autouse=True)
def handled() -> Iterator[None]:
    """The handlers that a command installs."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    startup._unwind_when_stopped((signal.SIG_DFL, signal.default_int_handler))
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stop_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C arrives as soon as a folder is removed."""
    remove = shutil.rmtree

    def removed(*arguments: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", removed)


def test_a_temporary_folder_is_removed_before_ctrl_c_takes_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def work() -> None:
        with temporary_folder() as folder:
            made.append(Path(folder))
            stop_in_the_middle(monkeypatch)

    with pytest.raises(KeyboardInterrupt):
        work()

    assert not made[0].exists()


def test_a_claim_is_removed_before_ctrl_c_takes_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> None:
        with claimed(tmp_path / "bundle") as claim:
            (claim / "old").mkdir()
            (claim / "new").mkdir()
            stop_in_the_middle(monkeypatch)

    with pytest.raises(KeyboardInterrupt):
        work()

    assert list(tmp_path.iterdir()) == [tmp_path / "bundle"]


def test_a_second_ctrl_c_does_not_wait() -> None:
    done = []

    def work() -> None:
        with stops.held():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("went on")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert done == ["went on"]


def test_after_the_block_a_stop_takes_effect_at_once() -> None:
    with stops.held():
        pass

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
