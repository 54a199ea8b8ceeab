"""What edgekit wrote, and `--force` may replace: bundles, builds, programs and single files, by their content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

MARKER: Final = ".edgekit"
_TEXT: Final = b"Written by edgekit: --force replaces this folder with everything in it.\n"
_MANIFEST: Final = "manifest.json"
_BUNDLE: Final = "bundle"
# Builds of versions without a marker contain nothing else.
_BUILD: Final = {_BUNDLE, "run", "report.json", "report.html"}
# No manifest and no bill of materials is larger.
_LARGEST_BYTES: Final = 1 << 26


def mark(folder: Path) -> None:
    """Say in `folder`, other than a bundle, that edgekit wrote it."""
    (folder / MARKER).write_bytes(_TEXT)


def is_output(path: Path) -> bool:
    """Whether edgekit wrote what is at `path`: its content says so, not its name."""
    if path.is_dir():
        return (path / MARKER).is_file() or is_bundle(path) or _is_build(path)
    return path.is_file() and (_is_packed(path) or _is_bill(path))


def is_bundle(folder: Path) -> bool:
    """Whether `folder` has the manifest of a bundle."""
    try:
        return _is_manifest((folder / _MANIFEST).read_bytes())
    except OSError:
        return False


def _is_build(folder: Path) -> bool:
    return {one.name for one in folder.iterdir()} <= _BUILD and is_bundle(folder / _BUNDLE)


def _is_packed(file: Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive, archive.open(_MANIFEST) as stream:
            return _is_manifest(stream.read(_LARGEST_BYTES))
    except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return False


def _is_bill(file: Path) -> bool:
    """Whether a file is a bill of materials: of what `--force` replaces, the one file without a manifest."""
    try:
        content = json.loads(file.read_bytes()) if file.stat().st_size <= _LARGEST_BYTES else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("bomFormat") == "CycloneDX"


def _is_manifest(data: bytes) -> bool:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and "schema_version" in manifest and "artifacts" in manifest
