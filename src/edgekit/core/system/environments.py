"""Python environments of one program or backend version each, in folders of their own in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs

from edgekit.core.errors import Unreadable
from edgekit.core.system.files import new_sha256, sha256_file, write_atomic

READY: Final = "edgekit-ready"


class Tool(NamedTuple):
    """A converter with its own environment: what pip installs, the program, and the oldest Python it supports."""

    requirement: str
    program: str
    python: tuple[int, int]
    summary: str


# Pinned exactly: every release changes what it writes.
TOOLS: Final = {
    "onnx2tf": Tool("onnx2tf==2.6.9", "onnx2tf", (3, 12), "makes .tflite files from .onnx files; 0.7 GB"),
}


def environment_folder(requirement: str) -> Path:
    """Where the environment of a requirement `name==version` is, or would be; each version has its own folder."""
    cache = os.environ.get("EDGEKIT_CACHE") or platformdirs.user_cache_dir("edgekit")
    return Path(cache) / "tools" / requirement.replace("==", "-")


def folder_of(tool: str) -> Path:
    """Where the environment of a tool is, or would be."""
    return environment_folder(TOOLS[tool].requirement)


def is_installed(tool: str) -> bool:
    """True if `edgekit tools install` has finished for this version."""
    return is_sealed(folder_of(tool))


def is_sealed(folder: Path) -> bool:
    """True if the installation of an environment has finished."""
    return (folder / READY).is_file()


def seal(tool: str) -> None:
    """Say that the environment of a tool is complete, and what is in it."""
    seal_folder(folder_of(tool), TOOLS[tool].requirement)


def seal_folder(folder: Path, requirement: str) -> None:
    """Say that an environment is complete, and what is in it."""
    write_atomic(folder / READY, f"{requirement} {_digest(folder)}\n".encode())


def is_unchanged(tool: str) -> bool:
    """True if the installed environment of a tool is what `seal` saw; reads all of its files."""
    return is_whole(folder_of(tool))


def is_whole(folder: Path) -> bool:
    """True if an installed environment is what `seal_folder` saw; reads all of its files."""
    return (folder / READY).read_text(encoding="utf-8").split()[-1:] == [_digest(folder)]


def checked_program_of(tool: str) -> Path:
    """The program of an installed tool, before it runs.

    Python must not write its bytecode into the environment: nothing is added to it after `seal`.

    Raises:
        Unreadable: A file of its environment was changed or added.
    """
    if not is_unchanged(tool):
        raise Unreadable(
            f"The environment of '{tool}' in '{folder_of(tool)}' has changed since it was installed.",
            hint=f"edgekit tools install {tool}",
        )
    return program_of(tool)


def _digest(folder: Path) -> str:
    """The sha256 over every name in a folder with the content of the file, or where the link leads."""
    total = new_sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or (path.is_file() and path.name != READY):
            content = os.readlink(path) if path.is_symlink() else sha256_file(path)
            total.update(os.fsencode(f"{path.relative_to(folder)}\0{content}\0"))
    return str(total.hexdigest())


def program_of(tool: str) -> Path:
    """The program of an installed tool."""
    return folder_of(tool) / "bin" / TOOLS[tool].program
