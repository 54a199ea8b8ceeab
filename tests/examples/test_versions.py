"""Two versions of a given .tflite become a verdict with the three commands of the example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.tflite_files import convolutions

pytestmark = pytest.mark.slow

SCRIPT = "examples/versions/verdict.sh"
OPTIONS = ("--launches", "5", "--time-limit", "100ms", "--time-box", "300s", "--minimum-effect", "20%")


def ended(repository: Path, folder: Path, old: str, new: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", repository / SCRIPT, old, new, *OPTIONS],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        timeout=850,
    )


@pytest.mark.timeout(900)
def test_a_version_with_twice_the_layers_is_slower_and_it_is_shown_why(repository: Path, tmp_path: Path) -> None:
    convolutions(tmp_path / "old.tflite", 2)
    convolutions(tmp_path / "new.tflite", 6)

    done = ended(repository, tmp_path, "old.tflite", "new.tflite")

    assert done.returncode == 1, done.stdout + done.stderr
    assert len(re.findall(r"^edgekit ", (repository / SCRIPT).read_text(encoding="utf-8"), re.MULTILINE)) == 3
    assert re.search(r"^ +[\d.]+% +\S+ .s  6 CONV_2D$", done.stdout, re.MULTILINE)
    assert re.search(r"slowest: layer\d \(CONV_2D\)", done.stdout)
    assert "MEASURED with trust" in done.stdout
    assert "operators: 4 and 12, 2 and 6 CONV_2D, 2 and 6 LOGISTIC" in done.stdout
    assert re.search(r"^output act1: differs by at most", done.stdout, re.MULTILINE)
    assert re.search(r"^local .* slower$", done.stdout, re.MULTILINE)
    assert (tmp_path / "versions-edgekit.html").is_file()
    assert (tmp_path / "versions-edgekit.md").is_file()
