"""docs/deploy.md, followed literally: its commands for Python and for C, on a bundle of images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from tests.flows.deploying.small_bundles import small_bundle

from edgekit.core.spec import ImageInput

LIBRARY = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.1*"))
# The page says `edgekit` and `python3`, and where a Linux keeps its libraries.
SHELL = f'set -e\nedgekit() {{ {sys.executable} -m edgekit "$@"; }}\npython3() {{ {sys.executable} "$@"; }}\n'


def commands(page: str, marker: str) -> str:
    """The lines that a reader types in the first block with `marker`."""
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    block = next(block for block in blocks if marker in block)
    return "\n".join(line[2:] for line in block.splitlines() if line.startswith("$ "))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no C compiler: apt-get install gcc")
@pytest.mark.parametrize("marker", ["--for python", "--for c"])
def test_the_commands_of_the_page_end_well(marker: str, repository: Path, tmp_path: Path) -> None:
    small_bundle(tmp_path / "digits-bundle", ImageInput(8, 8, 1))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(tmp_path / "seven.png")
    page = (repository / "docs" / "deploy.md").read_text(encoding="utf-8")
    typed = commands(page, marker).replace("/usr/lib/libonnxruntime.so.1", str(LIBRARY))

    done = subprocess.run(["bash", "-c", SHELL + typed], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "6 cases, all as expected" in done.stdout
