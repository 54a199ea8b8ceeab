"""Zip files as a test wants them."""

from __future__ import annotations

import zipfile
from pathlib import Path

Entries = list[tuple[zipfile.ZipInfo | str, bytes]]


def write_zip(path: Path, entries: Entries) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, data in entries:
            archive.writestr(entry, data)
    return path


def entries_of(path: Path) -> Entries:
    with zipfile.ZipFile(path) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]
