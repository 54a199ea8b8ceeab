"""The cache of finished conversions, by content: a repeated build converts nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import EdgekitError
from edgekit.core.system import documents
from edgekit.core.system.durable.owners import make_folder
from edgekit.core.system.durable.renames import remove
from edgekit.core.system.files import sha256_bytes, sha256_file
from edgekit.export.messages import Converted

# 1: first version.
CACHE_SCHEMA: Final = 1
MAX_BYTES: Final = 1 << 30
_ENTRY: Final = "entry.json"
_FILE: Final = "file"


class _Entry(msgspec.Struct, frozen=True):
    sha256: str
    converted: Converted
    schema_version: int = CACHE_SCHEMA


class ConversionCache:
    """Files by key below `root`; None turns it off. It may be deleted at any time, and never makes a build fail."""

    def __init__(self, root: Path | None, *, max_bytes: int = MAX_BYTES) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def get(self, key: str, out: Path) -> Converted | None:
        """Copy the file stored under `key` to `out` and return its description; None if there is none.

        An entry whose checksum does not match its content is removed.
        """
        if self.root is None:
            return None
        folder = self.root / key
        try:
            entry = documents.read(folder / _ENTRY, _Entry, newest=CACHE_SCHEMA)
            shutil.copyfile(folder / _FILE, out)
        except (EdgekitError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        if sha256_file(out) != entry.sha256:
            shutil.rmtree(folder, ignore_errors=True)
            out.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(folder)
        return entry.converted

    def put(self, key: str, path: Path, converted: Converted) -> None:
        """Store a copy of `path` under `key`, if possible."""
        if self.root is None or (self.root / key).exists():
            return
        with contextlib.suppress(OSError, EdgekitError):
            self.root.mkdir(parents=True, exist_ok=True)
            staging = make_folder(".new-", self.root)
            try:
                shutil.copyfile(path, staging / _FILE)
                documents.write(staging / _ENTRY, _Entry(sha256_file(path), converted))
                staging.rename(self.root / key)
            finally:
                remove(staging)
            self._shrink()

    def has_seen(self, subject: str) -> bool:
        """True when `mark_seen` was called for this subject: its conversions are probably here."""
        return self.root is not None and (self.root / "seen" / subject).exists()

    def mark_seen(self, subject: str) -> None:
        """Remember that the conversions of `subject` were stored."""
        if self.root is not None:
            with contextlib.suppress(OSError):
                (self.root / "seen").mkdir(parents=True, exist_ok=True)
                (self.root / "seen" / subject).touch()

    def _shrink(self) -> None:
        """Remove the entries that were not used for longest until the rest is within `max_bytes`."""
        assert self.root is not None
        entries = [path for path in self.root.iterdir() if (path / _FILE).is_file()]
        total = 0
        for path in sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True):
            total += (path / _FILE).stat().st_size
            if total > self.max_bytes:
                shutil.rmtree(path, ignore_errors=True)


def key_of(**parts: object) -> str:
    """The sha256 of everything a conversion depends on."""
    return sha256_bytes(documents.canonical(parts))
