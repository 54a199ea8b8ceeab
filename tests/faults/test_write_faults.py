"""Errors of the disk at every call that writes: exit code 3, the old state, and a second try that works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import made_once
from tests.faults.preloaded import preloaded

__all__ = ["made_once"]


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    return preloaded("faults.c", tmp_path_factory.mktemp("faults"))


@pytest.mark.slow
def test_no_fault_at_any_write_costs_more_than_the_command(
    faults: Path, made_once: Path, tmp_path: Path, repository: Path
) -> None:
    command = [sys.executable, "-m", "tests.faults.driver", str(made_once), str(tmp_path / "scratch")]
    done = subprocess.run(
        command,
        cwd=repository,
        env={**os.environ, "LD_PRELOAD": str(faults)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert found["faults"] > 300
