"""Keys of OpenSSH that tests make as they run: nothing that signs is committed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def new_key(folder: Path, name: str, *, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A private key with its public one next to it."""
    key = folder / name
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", f"{name} of the tests", "-f", str(key)]
    subprocess.run(command, check=True)
    return key


def allow(file: Path, key: Path, name: str, options: str = "") -> Path:
    """Add a key to a file of allowed signers."""
    file.parent.mkdir(parents=True, exist_ok=True)
    public = key.with_name(f"{key.name}.pub").read_text()
    before = file.read_text() if file.is_file() else ""
    file.write_text(f"{before}{name} {options}{' ' if options else ''}{public}")
    return file
