"""OpenVINO in a folder of its own: its build of ONNX Runtime has the module name of the one that all else uses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing, built

PACKAGES: Final = ("onnxruntime-openvino==1.24.1", "openvino==2026.4.1")
REPOSITORY: Final = Path(__file__).parents[2]
_TIMEOUT_S: Final = 300


def openvino_folder() -> Path:
    """A folder that, before all others on Python's path, gives both packages and nothing else.

    Raises:
        Missing: pip cannot fetch them for this machine.
    """

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*command, "--target", str(folder), *PACKAGES], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Missing(f"pip could not install {' and '.join(PACKAGES)}: {done.stderr.strip()[-300:]}")

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return built(f"openvino-{'-'.join(name.partition('==')[2] for name in PACKAGES)}-py{version}", build)


def python(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run Python with `folder` before all else on its path."""
    paths = os.pathsep.join((str(folder), str(REPOSITORY / "src")))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
    )
