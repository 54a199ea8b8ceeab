"""The program as a service: the one in Python, and a unit that runs it. No text of a bundle is in the unit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from edgekit.flows.deploying.program_parts import TEMPLATES, Parts, write_readme
from edgekit.flows.deploying.python_program import ZIPAPP, install_command, write_zipapp

_UNIT: Final = "edgekit-model.service"


def write_systemd(parts: Parts, folder: Path) -> None:
    """The program, its unit and the README."""
    write_zipapp(parts, folder / ZIPAPP)
    shutil.copyfile(TEMPLATES / "systemd" / _UNIT, folder / _UNIT)
    write_readme(parts, "systemd", folder, {"install": install_command(parts)})
