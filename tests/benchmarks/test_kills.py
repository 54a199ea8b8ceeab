"""Commands that are killed at random moments: some of them in the tests, all by `python -m benchmarks.kills`."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.kills import COMMANDS, Trial

pytestmark = pytest.mark.slow
# `export`, `build`, `check`, `sweep` and `train` take minutes: docs/reliability.md has their figures.
KILLS = {"prepare": 4, "deploy": 4}


@pytest.mark.parametrize("name", KILLS)
def test_the_run_after_a_kill_succeeds_and_nothing_is_lost_or_left(name: str, tmp_path: Path) -> None:
    assert Trial(COMMANDS[name], tmp_path, seed=1).problems(KILLS[name]) == []
