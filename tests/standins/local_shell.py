"""A Shell on this machine: the same commands as on a device, in a home folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from edgekit.core.errors import DeviceUnavailable, EdgekitError
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.shell import ProgramShell


class LocalShell(ProgramShell):
    """Runs commands here, with `home` as home folder and this Python as `python3`; `python` names another folder."""

    root = "$HOME/.cache/edgekit"

    def __init__(self, home: Path, *, python: Path | None = None) -> None:
        self.name = "here"
        self.home = home
        self._path = f"{python or Path(sys.executable).parent}:/usr/bin:/bin"
        self.commands: list[str] = []

    @property
    def folder(self) -> Path:
        """Edgekit's folder in that home."""
        return self.home / ".cache/edgekit"

    def connect(self) -> None:
        """Nothing: it is this machine."""

    def arguments(self, command: str) -> Sequence[str]:
        """`sh` in the home folder."""
        self.commands.append(command)
        return ["env", "-i", "-C", str(self.home), f"HOME={self.home}", f"PATH={self._path}", "sh", "-c", command]

    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """The shell was killed: nothing lies between."""
        del has_begun
        return DeviceUnavailable(f"The shell ended with {finished.code}: {finished.err}")

    def close(self) -> None:
        """Nothing to close."""
