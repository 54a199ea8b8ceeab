"""Bundles with other contents than their exporter wrote, whose checksums are right."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.hostile.bundles import write_bundle

from edgekit.core.bundle import MANIFEST, _digest_of

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "bundle"
    write_bundle(folder, "x")
    return folder


@pytest.fixture
def changed(bundle: Path, quiet_home: Path) -> Callable[..., Path]:
    """A copy of the bundle with other contents, whose checksums are right."""

    def change(of: Change = lambda _: None, **files: bytes) -> Path:
        copy = quiet_home / "changed"
        shutil.copytree(bundle, copy)
        document = json.loads((copy / MANIFEST).read_bytes())
        for name, content in files.items():
            file = name.replace("__", ".")
            (copy / file).write_bytes(content)
            document["files"][file] = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        of(document)
        sign(copy, document)
        return copy

    return change


def sign(folder: Path, document: dict[str, Any]) -> None:
    document["digest"] = _digest_of(json.dumps(document).encode())
    (folder / MANIFEST).write_text(json.dumps(document))


def spec(**fields: object) -> Change:
    return lambda document: document["spec"].update(fields)
