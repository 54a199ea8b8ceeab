"""Versions of the packages that make a format's files."""

from __future__ import annotations

import importlib.metadata

from edgekit.core.system.version import VERSION
from edgekit.export.formats import TORCH, find_format


def versions(file_format: str) -> dict[str, str]:
    """Installed versions by package, without importing one; a missing package is left out."""
    row = find_format(file_format)
    found = {"edgekit": VERSION}
    for name in row.packages if row else (TORCH,):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
