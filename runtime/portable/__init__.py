"""Programs that run on a device: a Python runner and a C runner that do not need edgekit there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
PYTHON_RUNNER: Final = FOLDER / "runner.py"
COUNT_PLUGIN: Final = FOLDER / "count_instructions.c"
"""The source of a QEMU plug-in that counts instructions, for the counter of an emulated device."""
C_RUNNERS: Final = {machine: FOLDER / "bin" / f"runner-{machine}" for machine in ("aarch64", "x86_64")}
