"""Debian packages unpacked into a folder: nothing is installed, no root is needed, apt's own state is untouched."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.standins.cache import Missing

_SOURCES: Final = Path("/etc/apt/sources.list.d/debian.sources")
_KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT_S: Final = 300


def unpack_packages(
    folder: Path, packages: Sequence[str], *, arch: str = "", suite: str = "bookworm", only: Sequence[str] = ()
) -> None:
    """Unpack `packages` and what they need into `folder`.

    Args:
        arch: A foreign architecture, for a root of its own; without it, only what this machine lacks is fetched.
        suite: Such as `bookworm` or `bookworm-backports`.
        only: Unpack these path patterns alone, of these packages alone, without what they need.

    Raises:
        Missing: No apt, no network, or no such package.
    """
    if shutil.which("apt-get") is None or not _SOURCES.is_file() or not _KEYRING.is_file():
        raise Missing("Debian's apt with debian.sources is needed to fetch packages")
    state = folder / ".apt"
    options = _private_state(state, arch, suite)
    _call(["apt-get", *options, "-qq", "update"])
    if only:
        _call(["apt-get", *options, "-qq", "download", *packages], cwd=state)
    else:
        _call(["apt-get", *options, "-qq", "-y", "--download-only", "install", *packages])
    for archive in sorted([*state.glob("*.deb"), *(state / "cache/archives").glob("*.deb")]):
        _unpack(archive, folder, only)
    shutil.rmtree(state)


def _private_state(state: Path, arch: str, suite: str) -> list[str]:
    for part in ("lists/partial", "cache/archives/partial"):
        (state / part).mkdir(parents=True)
    status = state / "status"
    shutil.copy("/var/lib/dpkg/status", status) if not arch else status.touch()
    found = re.search(r"^URIs: (\S+)", _SOURCES.read_text(), re.MULTILINE)
    if found is None:
        raise Missing(f"'{_SOURCES}' names no mirror")
    suites = [suite] if suite != "bookworm" else ["bookworm", "bookworm-updates"]
    lines = [f"deb [signed-by={_KEYRING}] {found[1]} {name} main\n" for name in suites]
    (state / "sources.list").write_text("".join(lines))
    settings = {
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": status,
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": state / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Debug::NoLocking": 1,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
    }
    if arch:
        settings |= {"APT::Architecture": arch, "APT::Architectures": arch}
    return [f"-o{name}={value}" for name, value in settings.items()]


def _unpack(archive: Path, folder: Path, only: Sequence[str]) -> None:
    if not only:
        _call(["dpkg", "-x", str(archive), str(folder)])
        return
    content = subprocess.run(["dpkg", "--fsys-tarfile", str(archive)], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder), "--wildcards", *only], input=content, check=True)


def _call(command: Sequence[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as err:
        raise Missing(f"'{command[0]}' did not end within {_TIMEOUT_S} s") from err
    if done.returncode:
        raise Missing(f"'{command[0]} {command[-1]}' failed: {done.stderr.strip()[-300:]}")
