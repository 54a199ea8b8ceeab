"""Promises of core/system/progress.py."""

from __future__ import annotations

import pytest

from edgekit.core.system.progress import Progress, Silent


def test_silent_progress_says_nothing_and_hides_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    progress: Progress = Silent()

    def work() -> None:
        with progress.stage("train"):
            progress.step(1, 2, "half")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        work()

    assert capfd.readouterr() == ("", "")
