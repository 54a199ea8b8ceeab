"""What to type when ssh refuses: commands with the port, the configuration and the user of the device."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 10


@dataclass(frozen=True)
class SshHints:
    """Commands for one device, as a user types them.

    Args:
        address: Host, `user@host`, or a name from an ssh configuration.
        config: The configuration file of the device; empty for the user's own.
    """

    address: str
    port: int | None = None
    config: str = ""

    @property
    def options(self) -> list[str]:
        """The options that every program of OpenSSH takes for this device."""
        return [*(["-F", self.config] if self.config else []), *(["-p", str(self.port)] if self.port else [])]

    def command(self, program: str = "ssh", *more: str) -> str:
        """`program` for the device: `ssh -p 2222 pi@host`."""
        return shlex.join([program, *self.options, self.address, *more])

    def for_keys(self) -> tuple[str, str]:
        """Why none of the keys was accepted, as the end of a sentence, and the command that helps."""
        locked = [file for file in self._key_files() if _has_passphrase(file)]
        if not locked:
            return "", self.command("ssh-copy-id")
        key = shlex.quote(str(locked[0]))
        return (
            f"; '{locked[0]}' has a passphrase, which only an agent can supply",
            f'eval "$(ssh-agent)"; ssh-add {key}',
        )

    def _key_files(self) -> list[Path]:
        """The private keys that ssh would use and that are there."""
        said = _said(["ssh", "-G", *self.options, self.address]).splitlines()
        names = [line.partition(" ")[2] for line in said if line.startswith("identityfile ")]
        return [file for name in names if (file := Path(name).expanduser()).is_file()]


def _has_passphrase(key: Path) -> bool:
    return "incorrect passphrase" in _said(["ssh-keygen", "-y", "-P", "", "-f", str(key)])


def _said(command: list[str]) -> str:
    """What a program of OpenSSH prints on both streams; nothing if it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
