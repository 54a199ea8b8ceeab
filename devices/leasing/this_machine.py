"""This machine as a Shell: what needs a shell on a device works here too."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.errors import DeviceUnavailable, EdgekitError
from edgekit.core.system.processes import Finished
from edgekit.devices.leasing.leases import PLACE
from edgekit.devices.remote.shell import ProgramShell


class ThisMachine(ProgramShell):
    """Commands on this machine, without a connection.

    Args:
        name: What messages call it.
        part: What is leased of it; empty for its processor, or the address and port of a browser's page.
    """

    root = "$HOME/.cache/edgekit"

    def __init__(self, name: str = "local", part: str = "") -> None:
        self.name = name
        self._part = part

    def connect(self) -> None:
        """Nothing: it is this machine."""

    def arguments(self, command: str) -> Sequence[str]:
        """`sh`; the leases of a part are in a folder of their own."""
        if self._part:
            command = f'EDGEKIT_LEASES="${{EDGEKIT_LEASES:-{PLACE}}}/{self._part}"\n{command}'
        return ["sh", "-c", command]

    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """The shell was killed: nothing lies between."""
        del has_begun
        return DeviceUnavailable(f"The shell of this machine ended with {finished.code}: {finished.err.strip()[-200:]}")

    def close(self) -> None:
        """Nothing to close."""
