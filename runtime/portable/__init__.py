"""What runs on a device by itself: a Python runner and a C runner that need nothing of edgekit."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
PYTHON_RUNNER: Final = FOLDER / "runner.py"
COUNT_PLUGIN: Final = FOLDER / "count_instructions.c"
"""The source of a plug-in of QEMU that counts instructions, for the counter of an emulated device."""
C_RUNNERS: Final = {machine: FOLDER / "bin" / f"runner-{machine}" for machine in ("aarch64", "x86_64")}
