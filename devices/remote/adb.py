"""The adb transport: an Android phone through the `adb` program of this machine.

Experimental: tests run it against a daemon and an emulated arm64 system; it has not been confirmed on a real phone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Final

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError, EnvironmentFault
from edgekit.core.system.installation import system_install
from edgekit.core.system.processes import Finished
from edgekit.devices.remote.frames import for_login_shell
from edgekit.devices.remote.shell import ProgramShell, run_program

_TIMEOUT_S: Final = 30.0


class Cable:
    """A port of this machine, forwarded to a phone's loopback by `adb reverse`.

    Args:
        serial: The serial number that `adb devices` lists, or `any` for the only phone.
    """

    def __init__(self, name: str, serial: str) -> None:
        if shutil.which("adb") is None:
            raise EnvironmentFault("The program 'adb' is not installed.", hint=system_install("adb"))
        self._name = name
        self._program = ["adb", *([] if serial == "any" else ["-s", serial]), "reverse"]
        self._port = 0

    def lead(self, port: int) -> None:
        """Forward `port` until `close`.

        Raises:
            DeviceUnavailable: adb refused, with its reason.
        """
        finished = run_program(self._name, [*self._program, f"tcp:{port}", f"tcp:{port}"], timeout_s=_TIMEOUT_S)
        if finished.code:
            said = finished.err.strip().splitlines()[-1:] or ["adb gave no reason"]
            raise DeviceUnavailable(f"adb cannot forward a port to '{self._name}': {said[0]}", hint="adb devices")
        self._port = port

    def close(self) -> None:
        """Stop forwarding; closing twice is harmless."""
        if self._port:
            run_program(self._name, [*self._program, "--remove", f"tcp:{self._port}"], timeout_s=_TIMEOUT_S)
            self._port = 0


class AdbShell(ProgramShell):
    """Commands on the phone with the serial number `serial`; `any` is the only connected one.

    Args:
        name: The device's name in edgekit.
        port: Port of the adb server on this machine; adb's default if None.
    """

    root = "/data/local/tmp/edgekit"

    def __init__(self, name: str, serial: str, *, port: int | None = None) -> None:
        if shutil.which("adb") is None:
            raise EnvironmentFault("The program 'adb' is not installed.", hint=system_install("adb"))
        self.name = name
        self._serial = "" if serial == "any" else serial
        self._program = ["adb", *(["-P", str(port)] if port else [])]
        self._is_checked = False

    def connect(self) -> None:
        """Check once that the phone is connected and may be used.

        Raises:
            DeviceUnavailable: It is not connected, or offline.
            DeviceError: It is not authorized, one of several, or too old to report exit codes.
        """
        if self._is_checked:
            return
        self._serial = self._chosen(self._listed())
        features = run_program(self.name, [*self._program, "-s", self._serial, "features"], timeout_s=_TIMEOUT_S)
        if "shell_v2" not in features.out.decode(errors="replace"):
            raise DeviceError(
                f"'{self.name}' (adb, {self._serial}) is too old: its adb daemon reports no exit codes (no shell v2).",
                hint="Use Android 7 or newer, or the phone's browser: edgekit devices add phone --web 127.0.0.1",
            )
        self._is_checked = True

    def arguments(self, command: str) -> Sequence[str]:
        """`adb shell`, which passes its last argument unchanged to the phone's shell."""
        return [*self._program, "-s", self._serial, "shell", "-T", for_login_shell(command)]

    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """The connection was lost: adb exits silently with 0 when the cable is unplugged."""
        del has_begun
        self._is_checked = False
        said = finished.err.strip().splitlines()[-1:] or ["the phone is gone"]
        return self._unavailable(f"The connection to {self._named} was lost: {said[0]}.")

    def close(self) -> None:
        """Nothing to end: the adb server belongs to the user."""
        self._is_checked = False

    @property
    def _named(self) -> str:
        return f"'{self.name}' (adb, {self._serial or 'any'})"

    def _listed(self) -> dict[str, str]:
        """State of every phone by its serial."""
        done = run_program(self.name, [*self._program, "devices"], timeout_s=_TIMEOUT_S)
        if done.code:
            said = done.err.strip().splitlines()[-1:] or ["adb gave no reason"]
            raise EnvironmentFault(f"Cannot start the adb server: {said[0]}", hint="adb start-server")
        rows = (line.split("\t") for line in done.text.splitlines() if "\t" in line)
        return {row[0]: row[1].strip() for row in rows}

    def _chosen(self, found: dict[str, str]) -> str:
        """The serial to use, whose state is `device`."""
        if not self._serial and len(found) > 1:
            serials = ", ".join(found)
            raise DeviceError(
                f"{self._named} is one of several phones: {serials}.",
                hint=f"edgekit devices add {self.name} --adb {next(iter(found))} --force",
            )
        serial = self._serial or next(iter(found), "")
        state = found.get(serial, "")
        if state == "device":
            return serial
        if state == "unauthorized":
            raise DeviceError(
                f"{self._named} has not authorized this machine.",
                hint="Unlock the phone and accept the prompt about USB debugging.",
            )
        if state == "offline":
            raise self._unavailable(f"{self._named} is offline.", hint="Plug the phone in again, or: adb reconnect")
        known = f"; connected: {', '.join(found)}" if found else ""
        raise self._unavailable(f"{self._named} is {state or f'not connected{known}'}.", hint="adb devices")

    def _unavailable(self, message: str, hint: str = "") -> DeviceUnavailable:
        return DeviceUnavailable(message, hint=hint or f"edgekit devices check {self.name}")
