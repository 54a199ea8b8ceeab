"""The idlest core, and that nothing else is pinned."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.core.target import Target
from edgekit.flows.measuring.idle_core import on_an_idle_core, read_busy

STAT = """cpu  300 0 0 900 0 0 0 0 0 0
cpu0 200 10 20 400 5 1 2 3 0 0
cpu1 100 0 0 500 0 0 0 0 0 0
intr 5
"""
CORES = "import os; print(len(os.sched_getaffinity(0)))"
many_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core, or no affinity here"
)


def test_busy_time_counts_all_but_idle_and_waiting(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text(STAT)

    assert read_busy(tmp_path / "stat") == {0: 236, 1: 100}


@many_cores
def test_processes_started_in_the_block_have_one_core_and_later_ones_have_all() -> None:
    before = os.sched_getaffinity(0)

    with on_an_idle_core(Target("local")) as core:
        inside = subprocess.run([sys.executable, "-c", CORES], capture_output=True, text=True, check=True)

    assert core in before
    assert inside.stdout.strip() == "1"
    assert os.sched_getaffinity(0) == before


@many_cores
@pytest.mark.parametrize("text", ["local@threads=2", "fake"])
def test_several_threads_and_other_machines_are_not_pinned(text: str) -> None:
    before = os.sched_getaffinity(0)

    with on_an_idle_core(Target.parse(text)) as core:
        assert os.sched_getaffinity(0) == before

    assert core is None
