"""Bundles that an earlier version wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from tests.core.test_bundle import write_bundle

from edgekit.core.bundle import MANIFEST, Artifact, Bundle, Manifest
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system import documents
from edgekit.core.system.files import sha256_bytes


def test_a_bundle_from_before_a_field_was_added_opens(tmp_path: Path) -> None:
    # The checksum was that of the manifest as it would be written today, so every new field broke all bundles.
    folder = write_bundle(tmp_path / "net")
    old = json.loads((folder / MANIFEST).read_bytes())
    records: list[tuple[type[msgspec.Struct], dict[str, Any]]] = [(Manifest, old), (ModelSpec, old["spec"])]
    records += [(Artifact, one) for one in old["artifacts"]]
    for kind, record in records:
        added = {field.encode_name for field in msgspec.structs.fields(kind) if not field.required}
        for name in [name for name, value in record.items() if name in added and value in ("", [], {}, None)]:
            del record[name]
    old["digest"] = ""
    old["digest"] = sha256_bytes(documents.canonical(old))
    (folder / MANIFEST).write_bytes(documents.encode(old))

    assert Bundle.open(folder).spec.name
