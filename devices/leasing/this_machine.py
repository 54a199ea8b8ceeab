"""This machine as a Shell: what needs a shell on a device works here too."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.errors import DeviceUnavailable, EdgekitError
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.shell import ProgramShell


class ThisMachine(ProgramShell):
    """Commands on this machine, without a connection."""

    name = "local"
    root = "$HOME/.cache/edgekit"

    def connect(self) -> None:
        """Nothing: it is this machine."""

    def arguments(self, command: str) -> Sequence[str]:
        """`sh`."""
        return ["sh", "-c", command]

    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """The shell was killed: nothing lies between."""
        del has_begun
        return DeviceUnavailable(f"The shell of this machine ended with {finished.code}: {finished.err.strip()[-200:]}")

    def close(self) -> None:
        """Nothing to close."""
