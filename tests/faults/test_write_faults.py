"""Errors of the disk at every call that writes: exit code 3, the old state, and a second try that works."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import made_once
from tests.standins.cache import Missing, required

__all__ = ["made_once"]
SOURCE = Path(__file__).with_name("faults.c")


@pytest.fixture(scope="module")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library to preload."""
    compiler = shutil.which("cc")
    with required():
        if compiler is None or sys.platform != "linux":
            raise Missing("a C compiler on Linux, for the preloaded library that injects faults")
    library = tmp_path_factory.mktemp("faults") / "faults.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


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
