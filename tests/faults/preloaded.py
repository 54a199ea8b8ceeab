"""Libraries that are preloaded into a command, to let the system fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.standins.cache import Missing, required


def preloaded(source: str, folder: Path) -> Path:
    """The library of a C file of this folder, for LD_PRELOAD."""
    compiler = shutil.which("cc")
    with required():
        if compiler is None or sys.platform != "linux":
            raise Missing("a C compiler on Linux, for the preloaded libraries that inject faults")
    file = Path(__file__).with_name(source)
    library = folder / f"{file.stem}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, file, "-ldl"], check=True)
    return library
