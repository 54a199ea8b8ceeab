"""What a bundle that is not opened is called, and what may be in one: core/bundle.py, word for word."""

from __future__ import annotations

import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.core.test_bundle import artifact, write_bundle
from tests.core.zips import entries_of, write_zip

from edgekit.core import bundle as module
from edgekit.core.bundle import (
    MANIFEST,
    SAMPLES,
    SIGNATURE,
    WEIGHTS,
    Bundle,
    FileRecord,
    Manifest,
    pack,
    tuning_file,
    write_manifest,
)
from edgekit.core.errors import BundleUnreadable, EnvironmentFault
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_bytes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "net")


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(BundleUnreadable) as caught:
        Bundle.open(path)
    return caught.value.message, caught.value.hint


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_model_file_is_not_a_bundle_and_the_hint_makes_one(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"my net.{kind}"
    absent = refusal(file)
    file.write_bytes(b"")

    assert absent == (f"There is no file '{file}'.", "edgekit export SOURCE --out BUNDLE")
    assert refusal(file) == (
        f"'{file}' is a model file, not a bundle.",
        f"edgekit export '{file}' --out 'my net-bundle'",
    )


def test_a_bundle_that_is_not_there_is_made_where_it_was_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "my net"

    assert refusal(path) == (f"There is no bundle at '{path}'.", f"edgekit export SOURCE --out '{path}'")


def test_a_folder_that_is_named_like_a_model_may_be_a_bundle(tmp_path: Path) -> None:
    assert Bundle.open(write_bundle(tmp_path / "net.onnx")).spec.name == "net"


def test_a_machine_without_a_place_to_unpack_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(Bundle.open(folder), folder.parent / "net.edgekit")
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "nowhere"))

    with pytest.raises(EnvironmentFault) as caught:
        Bundle.open(packed)

    assert caught.value.message == f"Failed while opening '{packed}': No such file or directory."


def changed(folder: Path, **changes: Any) -> Path:
    """The bundle with these fields of its manifest changed, and all checksums right."""
    with Bundle.open(folder) as bundle:
        write_manifest(folder, msgspec.structs.replace(bundle.manifest, **changes))
    return folder


def spec_of(*shape: int | str, sizes: dict[str, tuple[int, ...]] | None = None, output: bool = False) -> ModelSpec:
    tensor = (TensorSpec("x", "float32", shape),)
    return ModelSpec("net", "other", () if output else tensor, tensor if output else (), sizes=sizes or {})


@pytest.mark.parametrize("output", [True, False])
@pytest.mark.parametrize("size", [-1, (1 << 40) + 1])
def test_a_size_that_no_tensor_has_is_refused(folder: Path, size: int, output: bool) -> None:
    changed(folder, spec=spec_of("N", size, output=output))

    assert refusal(folder)[0] == f"Bundle '{folder}' is inconsistent: 'x' has shape ['N', {size}]."


@pytest.mark.parametrize("field", ["inputs", "outputs"])
def test_a_size_that_no_tensor_of_an_artifact_has_is_refused(folder: Path, field: str) -> None:
    odd = (TensorSpec("y", "float32", (-5,)),)
    changed(folder, artifacts=(msgspec.structs.replace(artifact("onnx-fp32", "net-fp32.onnx"), **{field: odd}),))

    assert refusal(folder)[0] == f"Bundle '{folder}' is inconsistent: 'y' has shape [-5]."


def test_the_smallest_and_the_largest_size_are_opened(folder: Path) -> None:
    spec = spec_of("N", 0, 1 << 40, sizes={"N": (1, 1 << 40)})

    assert Bundle.open(changed(folder, spec=spec)).spec == spec


@pytest.mark.parametrize("sizes", [(), (0,), (4, -1), ((1 << 40) + 1,)])
def test_an_axis_without_a_size_that_can_be_is_refused(folder: Path, sizes: tuple[int, ...]) -> None:
    changed(folder, spec=spec_of("N", sizes={"N": sizes}))

    assert refusal(folder)[0] == f"Bundle '{folder}' is inconsistent: axis 'N' has sizes {list(sizes)}."


@pytest.mark.parametrize("name", ["", "two words", "line\nend", "\x1b[31mred", "x" * 201])
def test_a_name_of_a_recipe_that_nobody_could_type_is_refused(folder: Path, name: str) -> None:
    changed(folder, artifacts=(artifact(name, "net-fp32.onnx"),))

    assert refusal(folder)[0] == f"Bundle '{folder}' is inconsistent: '{name[:200]}' is not a recipe."


def test_a_long_name_of_a_recipe_is_opened(folder: Path) -> None:
    changed(folder, artifacts=(artifact("x" * 200, "net-fp32.onnx"),))

    assert Bundle.open(folder).artifacts[0].recipe == "x" * 200


def test_each_fault_of_a_file_has_its_own_words(folder: Path) -> None:
    file = folder / "weights/net.safetensors"
    file.write_bytes(b"tensorz")
    assert refusal(folder)[0] == (
        f"Bundle '{folder}' was modified: the checksum of 'weights/net.safetensors' does not match its manifest."
    )
    file.unlink()
    assert refusal(folder)[0] == f"Bundle '{folder}' is incomplete: 'weights/net.safetensors' is missing."
    os.rmdir(folder / "weights")
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "net.safetensors").write_bytes(b"tensors")
    (folder / "weights").symlink_to(outside)
    assert refusal(folder)[0] == f"Bundle '{folder}' is incomplete: 'weights/net.safetensors' is missing."
    (folder / MANIFEST).unlink()
    assert refusal(folder)[0] == f"'{folder}' is not a bundle: it has no {MANIFEST}."


def test_the_folder_of_a_build_names_its_bundle(folder: Path) -> None:
    assert refusal(folder.parent)[1] == f"Its bundle is '{folder}'."


def test_a_bundle_behind_a_link_is_opened(folder: Path) -> None:
    (folder.parent / "link").symlink_to(folder)

    assert Bundle.open(folder.parent / "link").spec.name == "net"


def test_a_manifest_that_is_a_link_is_none(folder: Path) -> None:
    (folder / MANIFEST).rename(folder.parent / "elsewhere")
    (folder / MANIFEST).symlink_to(folder.parent / "elsewhere")

    assert refusal(folder)[0] == f"'{folder}' is not a bundle: it has no {MANIFEST}."


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"file": "LICENSE"}])
def test_an_artifact_that_is_no_file_of_the_bundle_is_refused(folder: Path, change: dict[str, str]) -> None:
    changed(folder, artifacts=(msgspec.structs.replace(artifact("onnx-fp32", "net-fp32.onnx"), **change),))

    assert refusal(folder)[0] == (
        f"Bundle '{folder}' is inconsistent: no file matches the checksum of artifact 'onnx-fp32'."
    )


def test_a_changed_manifest_is_told_by_its_digest_and_a_broken_one_by_its_name(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"net"', '"ten"'))
    assert refusal(folder)[0] == f"Bundle '{folder}' was modified: the checksum of '{MANIFEST}' does not match."
    (folder / MANIFEST).write_text("{")
    assert refusal(folder)[0].startswith(f"The {MANIFEST} of bundle '{folder}'")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("../x", "contains a path outside the bundle: '../x'."),
        ("/x", "contains a path outside the bundle: '/x'."),
        ("a/../../x", "contains a path outside the bundle: 'a/../../x'."),
        ("C:x", "contains a path outside the bundle: 'C:x'."),
        ("LICENCE", "contains two files with the same name."),
        ("./LICENCE", "contains two files with the same name."),
        ("more", "contains 'more', which its manifest does not list."),
        ("deep/more", "contains 'deep/more', which its manifest does not list."),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_wrong_with_an_entry_is_said(folder: Path, entry: str, message: str) -> None:
    packed = pack(Bundle.open(folder), folder.parent / "net.edgekit")
    write_zip(packed, [*entries_of(packed), (entry, b"")])

    assert refusal(packed)[0] == f"'{packed}' {message}"


def test_what_unpacks_to_exactly_the_limits_is_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack(Bundle.open(folder), folder.parent / "net.edgekit")
    entries = entries_of(packed)
    size = sum(len(data) for _, data in entries)

    monkeypatch.setattr(module, "MAX_ENTRIES", len(entries))
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", size)
    Bundle.open(packed).close()
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", size - 1)
    assert refusal(packed)[0].startswith(f"'{packed}' is too large: a bundle unpacks to at most {len(entries)} files")
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 8 << 30)
    monkeypatch.setattr(module, "MAX_ENTRIES", len(entries) - 1)
    assert refusal(packed)[0] == (
        f"'{packed}' is too large: a bundle unpacks to at most {len(entries) - 1} files and 8 GiB."
    )


def test_a_zip_may_have_folders_of_its_own(folder: Path) -> None:
    packed = pack(Bundle.open(folder), folder.parent / "net.edgekit")
    write_zip(packed, [("weights/", b""), *entries_of(packed)])

    with Bundle.open(packed) as bundle:
        assert (bundle.root / "weights/net.safetensors").read_bytes() == b"tensors"


def test_closing_removes_what_was_unpacked_and_nothing_else(folder: Path) -> None:
    packed = pack(Bundle.open(folder), folder.parent / "net.edgekit")
    bundle, plain = Bundle.open(packed), Bundle.open(folder)
    root = bundle.root

    plain.close()
    bundle.close()
    bundle.close()

    assert (root.exists(), packed.exists(), folder.exists()) == (False, True, True)


@pytest.mark.parametrize(
    ("bundle", "expected"),
    [("net", "net.tuning.json"), ("net.edgekit", "net.tuning.json"), ("net.onnx", "net.onnx.tuning.json")],
)
def test_a_tuning_is_next_to_its_bundle(tmp_path: Path, bundle: str, expected: str) -> None:
    assert tuning_file(tmp_path / bundle) == tmp_path / expected
    assert tuning_file(Path(bundle)) == Path.cwd() / expected


def test_a_signature_stays_with_the_bundle_that_it_signs(folder: Path) -> None:
    (folder / SIGNATURE).write_bytes(b"signed")
    with Bundle.open(folder) as bundle:
        write_manifest(folder, bundle.manifest)

    with Bundle.open(folder) as bundle:
        assert SIGNATURE not in bundle.manifest.files
        same = pack(bundle, folder.parent / "same.edgekit")
        other = pack(bundle, folder.parent / "other.edgekit", more={"note": b"new"})
        again = pack(bundle, folder.parent / "again.edgekit", only=bundle.artifacts[0])

    assert dict(entries_of(same))[SIGNATURE] == b"signed"
    assert [SIGNATURE in dict(entries_of(path)) for path in (other, again)] == [False, False]
    with Bundle.open(same) as opened:
        assert (opened.root / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()


def test_what_is_added_while_packing_is_in_the_manifest(folder: Path) -> None:
    with Bundle.open(folder) as bundle:
        packed = pack(bundle, folder.parent / "more.edgekit", more={"note": b"new", "LICENCE": b"free", "none": b""})

    with Bundle.open(packed) as more:
        assert more.manifest.files["note"] == FileRecord(sha256_bytes(b"new"), 3)
        assert [(more.root / name).read_bytes() for name in ("note", "none")] == [b"new", b""]
        assert (more.root / "LICENCE").read_bytes() == b"free"
    with zipfile.ZipFile(packed) as archive:
        assert archive.namelist()[0] == MANIFEST
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_one_artifact_is_packed_with_its_own_data_alone(folder: Path) -> None:
    for name in ("net-fp32.onnx.data", "net-int8.onnx.data"):
        (folder / name).write_bytes(name.encode())
    changed(folder)

    with Bundle.open(folder) as bundle:
        packed = pack(bundle, folder.parent / "one.edgekit", only=bundle.artifact("onnx-fp32"))

    with Bundle.open(packed) as one:
        names = set(one.manifest.files)
    assert {"net-fp32.onnx", "net-fp32.onnx.data"} <= names
    assert not {"net-int8.onnx", "net-int8.onnx.data"} & names


def test_a_field_that_was_added_since_leaves_the_digest_of_an_older_file(folder: Path) -> None:
    document = msgspec.json.decode((folder / MANIFEST).read_bytes())
    del document["split"], document["digest"]
    document["digest"] = module._digest_of(msgspec.json.encode({**document, "digest": "any"}))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(document))

    with Bundle.open(folder) as bundle:
        assert isinstance(bundle.manifest, Manifest)
        assert bundle.manifest.split is None


def test_one_artifact_is_packed_without_the_others_and_the_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"tensors")
    changed(folder)

    with Bundle.open(folder) as whole:
        packed = pack(whole, folder.parent / "one.edgekit", only=whole.artifact("onnx-int8"))

    with Bundle.open(packed) as one:
        assert [artifact.recipe for artifact in one.artifacts] == ["onnx-int8-static-u8s8"]
        assert one.samples() is not None
        assert {"net-fp32.onnx", WEIGHTS} & set(one.manifest.files) == set()
        assert {"net-int8.onnx", SAMPLES} <= set(one.manifest.files)


def test_the_names_and_limits_of_a_bundle_are_those_of_its_format(folder: Path) -> None:
    for name in ("samples.npz", "cases.npz", "weights.safetensors", "tuning.json"):
        (folder / name).write_bytes(b"")
    (folder / "manifest.json.sig").write_bytes(b"")

    with Bundle.open(changed_files(folder)) as bundle:
        names = {*bundle.manifest.files, MANIFEST}

    assert (MANIFEST, SIGNATURE) == ("manifest.json", "manifest.json.sig")
    assert {SAMPLES, module.CASES, WEIGHTS, module.TUNING} <= names
    assert SIGNATURE not in names
    assert (module.SUFFIX, module.MAX_ENTRIES, module.MAX_UNPACKED_BYTES) == (".edgekit", 10_000, 8 << 30)


@pytest.mark.parametrize("kind", ["artifact", "file", "signature", "quantized", "manifest"])
def test_a_field_that_this_edgekit_does_not_know_is_not_passed_over(folder: Path, kind: str) -> None:
    one = msgspec.structs.replace(
        artifact("onnx-fp32", "net-fp32.onnx"),
        signatures=(module.Signature("a", {"N": 1}),),
        quantized=module.QuantizedShare(1.0, None),
    )
    changed(folder, artifacts=(one,))
    document = msgspec.json.decode((folder / MANIFEST).read_bytes())
    place = {
        "artifact": document["artifacts"][0],
        "file": document["files"]["LICENCE"],
        "signature": document["artifacts"][0]["signatures"][0],
        "quantized": document["artifacts"][0]["quantized"],
        "manifest": document,
    }[kind]
    place["more"] = 1
    document["digest"] = module._digest_of(msgspec.json.encode(document))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(document))

    assert "more" in refusal(folder)[0]


def test_what_a_manifest_leaves_out_has_its_usual_value_and_nothing_is_written_into_it(folder: Path) -> None:
    document = msgspec.json.decode((folder / MANIFEST).read_bytes())
    for name in ("tools", "source", "split"):
        del document[name]
    one = document["artifacts"][0]
    for name in ("opset", "layout", "signatures", "record", "warnings"):
        del one[name]
    one["quantized"] = {"weights": 1.0, "work": None}
    document["digest"] = module._digest_of(msgspec.json.encode(document))
    (folder / MANIFEST).write_bytes(msgspec.json.encode(document))

    with Bundle.open(folder) as bundle:
        manifest, found = bundle.manifest, bundle.artifacts[0]

    assert (manifest.tools, manifest.source, manifest.split, manifest.schema_version) == ({}, {}, None, 1)
    assert (found.opset, found.layout, found.signatures, found.record, found.warnings) == (None, "", (), {}, ())
    assert found.quantized == module.QuantizedShare(1.0, None, 0.0, "")
    for value in (manifest, found, found.quantized, manifest.files["LICENCE"], module.Signature("a")):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(value, value.__struct_fields__[0], None)


def test_samples_that_are_none_are_a_fault_of_the_bundle(folder: Path) -> None:
    (folder / SAMPLES).write_bytes(b"no archive")

    with Bundle.open(changed_files(folder)) as bundle, pytest.raises(BundleUnreadable, match=SAMPLES):
        bundle.samples()


def changed_files(folder: Path) -> Path:
    """The bundle with the checksums of the files that are there now."""
    document = msgspec.json.decode((folder / MANIFEST).read_bytes())
    write_manifest(folder, msgspec.convert(document, Manifest))
    return folder
