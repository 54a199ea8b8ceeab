"""What edgekit wrote is known by its content, not by its name."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from edgekit.core.system.confined.outputs import MARKER, is_output, mark

MANIFEST = json.dumps({"schema_version": 1, "artifacts": []})


def _folder(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        file = place / name.replace("__", "/").replace("_", ".")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return place


def _packed(file: Path, name: str, text: str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, text)
    return file


def test_a_folder_is_known_by_its_marker_or_its_manifest(tmp_path: Path) -> None:
    marked = _folder(tmp_path / "marked", main_c="int main;")
    mark(marked)

    assert (marked / MARKER).read_text().startswith("Written by edgekit")
    assert is_output(marked)
    assert is_output(_folder(tmp_path / "bundle", manifest_json=MANIFEST))
    assert is_output(_folder(tmp_path / "build", bundle__manifest_json=MANIFEST, report_json="{}"))
    assert not is_output(_folder(tmp_path / "project", bundle__manifest_json=MANIFEST, report_json="{}", net_py=""))
    assert not is_output(_folder(tmp_path / "app", manifest_json='{"name": "an app"}'))
    assert not is_output(_folder(tmp_path / "documents", thesis_tex="years"))


def test_a_file_is_known_by_the_manifest_in_it_or_as_a_bill_of_materials(tmp_path: Path) -> None:
    bill, notes, deep = tmp_path / "a.json", tmp_path / "b.edgekit", tmp_path / "deep.json"
    bill.write_text('{"bomFormat": "CycloneDX"}')
    notes.write_text("a year of work")
    deep.write_text("[" * 100_000)

    assert is_output(_packed(tmp_path / "net.edgekit", "manifest.json", MANIFEST))
    assert is_output(bill)
    assert not is_output(_packed(tmp_path / "photos.zip", "one.jpg", "..."))
    assert not is_output(_packed(tmp_path / "app.zip", "manifest.json", "[]"))
    assert not any(map(is_output, (notes, deep, tmp_path / "nothing")))


@pytest.mark.parametrize("content", [b"PK\x03\x04 torn", b"\xff\xfe", b""])
def test_what_cannot_be_read_is_not_of_edgekit(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)

    assert not is_output(tmp_path / "file")
