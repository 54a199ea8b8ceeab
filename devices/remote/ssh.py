"""The ssh transport: the user's own OpenSSH client, with one connection that all commands share."""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Final

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError, EnvironmentFault, UserError
from edgekit.core.system.durable.owners import make_folder
from edgekit.core.system.installation import system_install
from edgekit.core.system.native import stops
from edgekit.core.system.processes import Finished, end, start
from edgekit.devices.remote.frames import Frame, for_login_shell
from edgekit.devices.remote.shell import ProgramShell
from edgekit.devices.remote.ssh_hints import SshHints

CONNECT_TIMEOUT_S: Final = 10
# What a slow device may take from the handshake to its first answer.
_START_TIMEOUT_S: Final = 20
_LOST: Final = 255
# What a login shell may print before its first command.
_MOST_HEARD_BYTES: Final = 1 << 20
# A Unix socket's path has at most 104 characters, and ssh appends 17 to the one it is given.
_LONGEST_SOCKET: Final = 80
_OPTIONS: Final = {
    "BatchMode": "yes",
    # An unknown key is never accepted on the user's behalf, whatever the configuration says.
    "StrictHostKeyChecking": "yes",
    "ConnectTimeout": str(CONNECT_TIMEOUT_S),
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "RequestTTY": "no",
}


class SshShell(ProgramShell):
    """Commands on a machine that `ssh ADDRESS` reaches.

    Args:
        name: The device's name in edgekit.
        address: Host, `user@host`, or a name from the user's ssh configuration.
        config: A configuration file that replaces the user's own.
    """

    root = "$HOME/.cache/edgekit"

    def __init__(self, name: str, address: str, *, port: int | None = None, config: str = "") -> None:
        if shutil.which("ssh") is None:
            raise EnvironmentFault("The program 'ssh' is not installed.", hint=system_install("openssh-client"))
        if address.startswith("-"):
            raise UserError(
                f"'{address}' is not a valid ssh address.", hint="edgekit devices add pi --ssh pi@raspberrypi"
            )
        self.name = name
        self.address = address
        self._hints = SshHints(address, port, config)
        self._folder = ""
        self._master: subprocess.Popen[bytes] | None = None

    def connect(self) -> None:
        """Open the connection that all commands share, unless it is already open.

        Raises:
            DeviceUnavailable: There is no route, the connection was refused, or there was no response in time.
            DeviceError: The host key is unknown or has changed, or none of the user's keys is accepted.
        """
        if self._master is not None and self._master.poll() is None:
            return
        self.close()
        with stops.held():
            self._folder = _socket_folder()
        # The device closes the connection's own command when its input ends, so the connection ends with this process.
        frame = Frame()
        greeting = for_login_shell(frame.around("exec cat >/dev/null"))
        self._master = start([*self._program(), "-o", "ControlMaster=yes", self.address, greeting])
        printed, is_ready = _heard(self._master, frame.opening, CONNECT_TIMEOUT_S + _START_TIMEOUT_S)
        if not is_ready:
            raise self._refusal(self._master, printed)

    def arguments(self, command: str) -> Sequence[str]:
        """`ssh` over the open connection."""
        return [*self._program(), "-o", "ControlMaster=no", self.address, for_login_shell(command)]

    def problem(self, finished: Finished, *, has_begun: bool) -> EdgekitError:
        """The error for a lost connection, which ssh reports with exit code 255, or for a shell that runs nothing."""
        if finished.code != _LOST and not has_begun:
            return self._no_shell(finished.text or finished.err)
        said = finished.err.strip().splitlines()[-1:] or ["ssh gave no reason"]
        return DeviceUnavailable(
            f"The connection to '{self.name}' (ssh, {self.address}) was lost: {said[0]}",
            hint=f"edgekit devices check {self.name}",
        )

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        with stops.held():
            if self._master is not None:
                end(self._master)
                self._master = None
            if self._folder:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = ""

    def _program(self) -> list[str]:
        options = [part for name, value in _OPTIONS.items() for part in ("-o", f"{name}={value}")]
        return ["ssh", *self._hints.options, *options, "-S", f"{self._folder}/c"]

    def _refusal(self, master: subprocess.Popen[bytes], printed: bytes) -> EdgekitError:
        """Why there is no connection, from what ssh and the login shell printed."""
        code, heard = master.poll(), printed.decode(errors="replace")
        end_stdin(master)
        said = "" if code is None or master.stderr is None else master.stderr.read().decode(errors="replace")
        self.close()
        if code is None and not heard.strip():
            return self._unavailable(f"within {CONNECT_TIMEOUT_S + _START_TIMEOUT_S} s")
        return self._explained(said) if code == _LOST else self._no_shell(heard if heard.strip() else said)

    def _no_shell(self, said: str) -> DeviceError:
        """The error for an account whose login shell does not run the commands that it is given."""
        last = (said.strip().splitlines() or ["it printed nothing"])[-1].strip()
        return DeviceError(
            f"The login shell of '{self.name}' (ssh, {self.address}) does not run commands: {last[:120]}",
            hint=f"{self._hints.command('ssh', 'uname', '-m')}   # must print the architecture: use another account",
        )

    def _explained(self, said: str) -> EdgekitError:
        where = f"'{self.name}' (ssh, {self.address})"
        if "REMOTE HOST IDENTIFICATION HAS CHANGED" in said:
            return DeviceError(
                f"The host key of {where} has changed: it was reinstalled, or it is a different machine.",
                hint=f"ssh-keygen {self._known_as(said)}   # if you know why; then: {self._hints.command()}",
            )
        if "Host key verification failed" in said:
            return DeviceError(
                f"The host key of {where} is unknown.",
                hint=f"{self._hints.command()}   # compare its fingerprint once",
            )
        if "Permission denied" in said or "Too many authentication failures" in said:
            reason, hint = self._hints.for_keys()
            return DeviceError(f"{where} does not accept any of your keys{reason}.", hint=hint)
        if "timed out" in said:
            return self._unavailable(f"within {CONNECT_TIMEOUT_S} s")
        last = said.strip().splitlines()[-1:] or ["ssh gave no reason"]
        if "Bad configuration" in said or "Can't open user config" in said:
            return UserError(f"ssh cannot read its configuration: {last[0]}", hint=self._hints.command("ssh", "-v"))
        return self._unavailable(f"({last[0].strip()})")

    def _unavailable(self, how: str) -> DeviceUnavailable:
        hint = f"{self._hints.command()}   # is it on, in the network, and is this its address?"
        return DeviceUnavailable(f"No response from '{self.name}' (ssh, {self.address}) {how}.", hint=hint)

    def _known_as(self, said: str) -> str:
        """The arguments of ssh-keygen that remove a key, from ssh's own advice where it is there."""
        advice = [line.partition("ssh-keygen ")[2] for line in said.splitlines() if "ssh-keygen -f" in line]
        return advice[0].replace('"', "'") if advice else f"-R {self.address.rpartition('@')[2]}"


def end_stdin(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that is no longer needed, and keep its output readable."""
    if process.poll() is None:
        process.kill()
    process.wait()


def _socket_folder() -> str:
    folder, short = make_folder(""), Path("/tmp")  # noqa: S108 - `make_folder` makes a private folder in it
    if len(str(folder)) > _LONGEST_SOCKET and short.is_dir():
        folder.rmdir()
        folder = make_folder("", short)
    return str(folder)


def _heard(process: subprocess.Popen[bytes], wanted: bytes, timeout_s: float) -> tuple[bytes, bool]:
    """What the process prints until `wanted` is in it, it ends or the time is over; and whether `wanted` is in it."""
    assert process.stdout is not None
    deadline = monotonic() + timeout_s
    heard = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while wanted not in heard and len(heard) < _MOST_HEARD_BYTES:
            if not selector.select(max(0.0, deadline - monotonic())):
                return heard, False
            chunk = os.read(process.stdout.fileno(), 4096)
            if not chunk:
                process.wait(_START_TIMEOUT_S)
                return heard, False
            heard += chunk
    return heard, wanted in heard
