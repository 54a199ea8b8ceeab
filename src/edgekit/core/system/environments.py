"""Environments of converters whose packages conflict with others: each has its own folder in the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs

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


def folder_of(tool: str) -> Path:
    """Where the environment of a tool is, or would be; each version has its own folder."""
    cache = os.environ.get("EDGEKIT_CACHE") or platformdirs.user_cache_dir("edgekit")
    return Path(cache) / "tools" / TOOLS[tool].requirement.replace("==", "-")


def is_installed(tool: str) -> bool:
    """True if `edgekit tools install` has finished for this version."""
    return (folder_of(tool) / READY).is_file()


def program_of(tool: str) -> Path:
    """The program of an installed tool."""
    return folder_of(tool) / "bin" / TOOLS[tool].program
