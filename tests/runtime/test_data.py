"""The committed models are what their script writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_the_committed_models_are_what_the_script_writes(data: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(data / "make.py"), str(tmp_path)], check=True, timeout=120)

    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    committed = {file.name: file.read_bytes() for file in data.iterdir() if file.is_file() and file.suffix != ".py"}
    assert written == committed
