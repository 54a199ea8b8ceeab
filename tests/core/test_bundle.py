"""Promises of core/bundle.py: a bundle opens whole and unchanged, or not at all, and leaves nothing behind."""

from __future__ import annotations

import shutil
import stat
import tempfile
import warnings
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.zips import entries_of, write_zip

from edgekit.core import bundle as module
from edgekit.core.bundle import (
    MANIFEST,
    SAMPLES,
    Artifact,
    Bundle,
    Manifest,
    artifact_id,
    pack,
    write_manifest,
)
from edgekit.core.errors import BundleUnreadable, DiskFull, UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_bytes
from edgekit.core.system.installation import origin

FILES = {
    "net-fp32.onnx": b"float weights",
    "net-int8.onnx": b"int8",
    "weights/net.safetensors": b"tensors",
    "LICENCE": b"",
}
RECIPES = {"onnx-fp32": "net-fp32.onnx", "onnx-int8-static-u8s8": "net-int8.onnx"}


def artifact(recipe: str, file: str) -> Artifact:
    data = FILES[file]
    record = {"recipe": recipe, "options": {"per_channel": True}, "shape": (1, 2)}
    return Artifact(
        recipe, file, "onnx", "fp32", len(data), sha256_bytes(data), artifact_id(record), (), (), record=record
    )


def write_bundle(folder: Path) -> Path:
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    Samples({"x": np.arange(6.0).reshape(2, 3)}, np.array([0, 1])).save(folder / SAMPLES)
    artifacts = tuple(artifact(recipe, file) for recipe, file in RECIPES.items())
    write_manifest(folder, Manifest(ModelSpec("net", "classification", ()), artifacts, {}, "2026-11-21T00:00:00Z"))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "net")


@pytest.fixture
def packed(folder: Path) -> Path:
    return pack(Bundle.open(folder), folder.parent / "net.edgekit")


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where zips are unpacked in this test."""
    path = tmp_path / "scratch"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    return path


def assert_refused(path: Path, scratch: Path, message: str) -> None:
    with pytest.raises(BundleUnreadable) as caught:
        Bundle.open(path)

    assert message in caught.value.message
    assert str(path) in caught.value.message
    assert list(scratch.iterdir()) == []


# --- whole bundles


@pytest.mark.parametrize("form", ["folder", "packed"])
def test_a_whole_bundle_opens(form: str, request: pytest.FixtureRequest, scratch: Path) -> None:
    path: Path = request.getfixturevalue(form)

    with Bundle.open(path) as bundle:
        samples = bundle.samples()

        assert bundle.path == path
        assert bundle.spec.name == "net"
        assert [artifact.recipe for artifact in bundle.artifacts] == list(RECIPES)
        assert {name: (bundle.root / name).read_bytes() for name in FILES} == FILES
        assert bundle.file(bundle.artifacts[0]).read_bytes() == b"float weights"
        assert samples is not None
        assert len(samples) == 2
    assert list(scratch.iterdir()) == []


def test_a_bundle_without_samples_says_so(folder: Path) -> None:
    manifest = Bundle.open(folder).manifest
    (folder / SAMPLES).unlink()
    write_manifest(folder, manifest)

    assert Bundle.open(folder).samples() is None


def test_every_file_but_the_manifest_is_listed(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / MANIFEST).write_bytes(b"a namesake")

    complete = write_manifest(folder, Bundle.open(folder).manifest)

    assert set(complete.files) == {*FILES, SAMPLES, f"deeper/{MANIFEST}"}
    assert complete.files["net-int8.onnx"].size_bytes == 4


@pytest.mark.parametrize(
    ("name", "recipe"),
    [("onnx-fp32", "onnx-fp32"), ("onnx-int8", "onnx-int8-static-u8s8"), ("onnx-int8-static-u8s8",) * 2],
)
def test_an_artifact_is_found_by_recipe_or_alias(name: str, recipe: str, folder: Path) -> None:
    assert Bundle.open(folder).artifact(name).recipe == recipe


def test_an_artifact_that_is_not_there_offers_the_nearest(folder: Path) -> None:
    with pytest.raises(UserError, match=r"Unknown artifact 'onnx-fp16'\. Did you mean 'onnx-fp32'\?"):
        Bundle.open(folder).artifact("onnx-fp16")


def test_the_id_of_an_artifact_knows_no_order_of_keys() -> None:
    assert artifact_id({"a": 1, "b": (2,)}) == artifact_id({"b": [2], "a": 1})
    assert artifact_id({"a": 1}) != artifact_id({"a": 2})


# --- packing


def test_packing_twice_gives_the_same_bytes(folder: Path, packed: Path, tmp_path: Path) -> None:
    with Bundle.open(packed) as again:
        second = pack(again, tmp_path / "again.edgekit")
    third = pack(Bundle.open(write_bundle(tmp_path / "copy")), tmp_path / "copy.edgekit")

    assert second.read_bytes() == packed.read_bytes() == third.read_bytes()


def test_packing_asks_before_it_replaces(folder: Path, packed: Path) -> None:
    with pytest.raises(UserError, match="exists"):
        pack(Bundle.open(folder), packed)

    assert pack(Bundle.open(folder), packed, force=True) == packed


def test_a_full_disk_leaves_no_half_a_bundle(folder: Path, tiny_disk: Path) -> None:
    (folder / "big").write_bytes(bytes(1 << 20))
    write_manifest(folder, Bundle.open(folder).manifest)

    with pytest.raises(DiskFull):
        pack(Bundle.open(folder), tiny_disk / "net.edgekit")

    assert list(tiny_disk.iterdir()) == []


def test_a_full_disk_while_unpacking_is_said(
    folder: Path, tiny_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "big").write_bytes(bytes(1 << 20))
    write_manifest(folder, Bundle.open(folder).manifest)
    packed = pack(Bundle.open(folder), tmp_path / "big.edgekit")
    monkeypatch.setattr(tempfile, "tempdir", str(tiny_disk))

    with pytest.raises(DiskFull, match=r"unpacking '.*big\.edgekit'"):
        Bundle.open(packed)

    assert list(tiny_disk.iterdir()) == []


# --- damage


def test_nothing_at_all_names_the_command_that_makes_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleUnreadable, match="There is no bundle at") as caught:
        Bundle.open(tmp_path / "nothing")

    assert caught.value.hint.startswith("edgekit export")


def test_a_folder_or_file_that_is_no_bundle_is_told(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07 no zip")

    assert_refused(tmp_path / "empty", scratch, "is not a bundle: it has no manifest.json")
    assert_refused(tmp_path / "model.onnx", scratch, "is a model file, not a bundle")
    assert_refused(write_zip(tmp_path / "other.zip", [("a", b"")]), scratch, "or is damaged: it has no manifest.json")


@pytest.mark.parametrize("name", [*FILES, SAMPLES])
def test_a_changed_file_is_found(name: str, folder: Path, scratch: Path) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if data else b"x")

    assert_refused(folder, scratch, f"was modified: the checksum of '{name}' does not match its manifest")


@pytest.mark.parametrize("name", [*FILES, SAMPLES])
def test_a_missing_file_is_found(name: str, folder: Path, scratch: Path) -> None:
    (folder / name).unlink()

    assert_refused(folder, scratch, f"is incomplete: '{name}' is missing")


def test_a_file_that_became_a_link_is_refused(folder: Path, scratch: Path) -> None:
    shutil.move(folder / "net-int8.onnx", folder.parent / "elsewhere")
    (folder / "net-int8.onnx").symlink_to(folder.parent / "elsewhere")

    assert_refused(folder, scratch, "'net-int8.onnx' is missing")


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_changed_byte_of_the_manifest_is_found(
    place: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = write_bundle(tmp_path_factory.mktemp("manifest"))
    data = bytearray((folder / MANIFEST).read_bytes())
    before = msgspec.json.decode(bytes(data))
    data[place % len(data)] ^= flip
    (folder / MANIFEST).write_bytes(bytes(data))

    try:
        Bundle.open(folder)
    except BundleUnreadable:
        return
    assert msgspec.json.decode(bytes(data)) == before  # white space between the fields


def test_an_artifact_without_its_file_is_refused(folder: Path, scratch: Path) -> None:
    manifest = Bundle.open(folder).manifest
    stray = msgspec.structs.replace(manifest.artifacts[0], file="net-int8.onnx")
    write_manifest(folder, msgspec.structs.replace(manifest, artifacts=(stray,)))

    assert_refused(folder, scratch, "is inconsistent: no file matches the checksum of artifact 'onnx-fp32'")


def test_a_newer_bundle_is_refused_with_the_upgrade_command(folder: Path) -> None:
    text = (folder / MANIFEST).read_text().replace('"schema_version": 1', '"schema_version": 2')
    (folder / MANIFEST).write_text(text)

    with pytest.raises(BundleUnreadable, match=r"has schema 2; this edgekit reads up to 1\.") as caught:
        Bundle.open(folder)

    assert caught.value.hint == origin().upgrade


@pytest.mark.parametrize("name", ["../net-fp32.onnx", "/etc/hostname", "weights/../../x", "", ".", "a\\b", "C:x"])
def test_a_manifest_that_points_outside_is_refused(name: str, folder: Path, scratch: Path) -> None:
    manifest = Bundle.open(folder).manifest
    files = manifest.files | {name: manifest.files["LICENCE"]}
    forged = msgspec.structs.replace(manifest, files=files)
    forged = msgspec.structs.replace(forged, digest=module._digest(forged))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(forged))

    assert_refused(folder, scratch, f"contains a path outside the bundle: '{name}'")


# --- zips


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_zip_is_refused(share: float, packed: Path, scratch: Path) -> None:
    data = packed.read_bytes()
    packed.write_bytes(data[: int(len(data) * share)])

    assert_refused(packed, scratch, "is not a bundle, or is damaged")


@pytest.mark.parametrize("name", [*FILES, SAMPLES, MANIFEST])
def test_a_changed_entry_of_a_zip_is_found(name: str, packed: Path, scratch: Path) -> None:
    # The manifest loses a letter of its text; every other file gains a byte.
    forged = [
        (entry, data.replace(b"classification", b"classificaton") if entry == MANIFEST else data + b"!")
        for entry, data in entries_of(packed)
        if entry == name
    ]
    write_zip(packed, [*forged, *(pair for pair in entries_of(packed) if pair[0] != name)])

    assert_refused(packed, scratch, f"was modified: the checksum of '{name}' does not match")


ESCAPES = st.sampled_from(["../x", "/x", "a/../../x", "..", "a/..", "..\\x", "C:\\x", "c:x", "//x", "./../x"])
PARTS = st.lists(st.sampled_from(["..", ".", "a", "b.onnx", "", "~", "-", " "]), min_size=1, max_size=5)


@given(name=ESCAPES | PARTS.map("/".join))
def test_no_entry_is_ever_written_outside(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    top = tmp_path_factory.mktemp("escape")
    packed = write_zip(top / "evil.edgekit", [(MANIFEST, b"{}"), (zipfile.ZipInfo(name or "x"), b"evil")])
    root = top / "deep" / "er"
    root.mkdir(parents=True)

    try:
        module._unpack(packed, root)
    except BundleUnreadable:
        assert list(root.iterdir()) == []
    outside = [path for path in top.rglob("*") if path.is_file() and not path.is_relative_to(root)]
    assert outside == [packed]


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:x"])
def test_an_entry_that_leaves_the_bundle_is_refused(name: str, packed: Path, scratch: Path) -> None:
    evil = write_zip(packed, [*entries_of(packed), (name, b"evil")])

    assert_refused(evil, scratch, "contains a path outside the bundle")


def test_a_link_in_a_zip_is_refused(packed: Path, scratch: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16

    assert_refused(write_zip(packed, [*entries_of(packed), (link, b"/etc")]), scratch, "contains a link: 'link'")


@pytest.mark.parametrize("name", ["LICENCE", "./LICENCE", "weights//net.safetensors"])
def test_a_name_that_occurs_twice_is_refused(name: str, packed: Path, scratch: Path) -> None:
    double = [*entries_of(packed), (zipfile.ZipInfo(name), b"other")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of what this test is about
        write_zip(packed, double)

    assert_refused(packed, scratch, "contains two files with the same name")


def test_a_name_that_is_file_and_folder_is_refused(packed: Path, scratch: Path) -> None:
    write_zip(packed, [*entries_of(packed), ("LICENCE/inside", b"")])

    assert_refused(packed, scratch, "or is damaged: [Errno")


def test_a_bomb_is_refused_before_it_is_unpacked(packed: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1 << 20)
    write_zip(packed, [*entries_of(packed), ("zeros", bytes((1 << 20) + 1))])
    opened: list[str] = []
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda _, name: opened.append(name))

    assert_refused(packed, scratch, "is too large: a bundle unpacks to at most")
    assert opened == []


def test_a_swarm_of_entries_is_refused(packed: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 20)
    write_zip(packed, [*entries_of(packed), *((f"{number}", b"") for number in range(20))])

    assert_refused(packed, scratch, "is too large: a bundle unpacks to at most")


def test_an_entry_that_lies_about_its_size_is_not_unpacked_beyond_it(packed: Path, scratch: Path) -> None:
    honest = write_zip(packed, [(MANIFEST, bytes(1 << 20))]).read_bytes()
    packed.write_bytes(honest.replace((1 << 20).to_bytes(4, "little"), (16).to_bytes(4, "little")))

    assert_refused(packed, scratch, "or is damaged: Bad CRC-32")


def test_an_encrypted_entry_is_refused(packed: Path, scratch: Path) -> None:
    data = bytearray(write_zip(packed, [(MANIFEST, b"secret")]).read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    packed.write_bytes(bytes(data))

    assert_refused(packed, scratch, "is encrypted")


@given(place=st.integers(0, 10**6), noise=st.binary(min_size=1, max_size=30))
def test_a_damaged_zip_is_told_or_harmless_but_never_a_fault(
    place: int, noise: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    top = tmp_path_factory.mktemp("damage")
    packed = pack(Bundle.open(write_bundle(top / "net")), top / "net.edgekit")
    deflated = write_zip(packed, entries_of(packed)).read_bytes()
    start = place % len(deflated)
    packed.write_bytes(deflated[:start] + noise + deflated[start + len(noise) :])

    try:
        with Bundle.open(packed) as bundle:
            content = {name: (bundle.root / name).read_bytes() for name in FILES}
    except BundleUnreadable:
        return
    assert content == FILES
