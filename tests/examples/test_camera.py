"""The example of a camera runs on a folder of frames."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tests.flows.nets.small_bundles import classifier  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[2]


def test_a_folder_of_frames_is_classified_as_it_comes(classifier: Path, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    folder = tmp_path / "frames"
    folder.mkdir()
    for place in range(6):
        Image.fromarray(np.full((8, 8, 3), 250 if place % 2 else 5, np.uint8)).save(folder / f"{place}.png")

    command = [sys.executable, str(ROOT / "examples/camera.py"), str(classifier), str(folder), "--rate", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    *lines, last = done.stdout.splitlines()
    seen, dropped = (int(word) for word in last.split() if word.isdigit())
    assert seen == len(lines) > 0
    assert seen + dropped == 6
    assert {line.split()[0] for line in lines} <= {"dark", "light"}
    assert lines[-1].startswith("light "), "the last frame is always seen"
