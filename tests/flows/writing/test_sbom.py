"""Promises of flows/writing/sbom.py: the bill of materials is CycloneDX, complete, and the same for equal bundles."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tests.core.test_bundle import FILES, write_bundle

from edgekit.cli.main import run
from edgekit.core.bundle import Bundle, Manifest
from edgekit.core.samples import SplitFacts
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_bytes
from edgekit.flows.writing.sbom import sbom

VALIDATOR = JsonStrictValidator(SchemaVersion.V1_6)


def manifest_of(folder: Path) -> Manifest:
    with Bundle.open(write_bundle(folder)) as bundle:
        return bundle.manifest


def whole(folder: Path) -> Manifest:
    """A manifest in which every field says something."""
    tensors = (TensorSpec("x", "float32", ("N", 1, 8, 8)),), (TensorSpec("y", "float32", ("N", 3)),)
    spec = ModelSpec("net", "classification", *tensors, summary="a net", licence="MIT", is_untrained=True)
    manifest = manifest_of(folder)
    warned = tuple(msgspec.structs.replace(one, warnings=("it is slow",), opset=18) for one in manifest.artifacts)
    return msgspec.structs.replace(
        manifest,
        spec=spec,
        artifacts=warned,
        created="2026-01-01T00:00:00+00:00",
        tools={"edgekit": "1.0", "python": "3.11.7", "torch": "2.13.0+cpu"},
        source={"factory": "net.py:net"},
        split=SplitFacts("samples.npz", 10, 4, 6, 0, "aa", "bb", True),
    )


def refused(document: Any) -> object:
    return VALIDATOR.validate_str(json.dumps(document))


@pytest.mark.parametrize("make", [manifest_of, whole])
def test_it_is_cyclonedx(make: Any, tmp_path: Path) -> None:
    assert refused(sbom(make(tmp_path / "net"))) is None


def test_the_validator_refuses_what_the_standard_does_not_have(tmp_path: Path) -> None:
    assert refused({**sbom(manifest_of(tmp_path / "net")), "colour": "blue"}) is not None


def test_every_file_has_its_checksum_and_every_tool_its_version(tmp_path: Path) -> None:
    document = sbom(whole(tmp_path / "net"))

    sums = {one["name"]: one["hashes"][0]["content"] for one in document["components"] if "hashes" in one}
    assert {name: sums[name] for name in FILES} == {name: sha256_bytes(data) for name, data in FILES.items()}
    assert "samples.npz" in sums
    purls = [one["purl"] for one in document["components"] if "purl" in one]
    assert purls == ["pkg:generic/python@3.11.7", "pkg:pypi/torch@2.13.0%2Bcpu"]
    references = [one["bom-ref"] for one in document["components"]]
    assert sorted(references) == document["dependencies"][0]["dependsOn"]
    assert len(set(references)) == len(references)
    card = document["metadata"]["component"]["modelCard"]
    assert card["modelParameters"]["inputs"] == [{"format": "x: float32[N,1,8,8]"}]
    assert "onnx-fp32: it is slow" in card["considerations"]["technicalLimitations"]


def test_equal_bundles_have_equal_documents(tmp_path: Path) -> None:
    assert sbom(manifest_of(tmp_path / "one")) == sbom(manifest_of(tmp_path / "two"))


def test_the_command_writes_it_once_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, inner = write_bundle(tmp_path / "net"), tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    text = (folder / "manifest.json").read_bytes()
    # A name from elsewhere that leads out of the folder.
    digest = msgspec.json.decode(text)
    digest["spec"]["name"], digest["digest"] = "../../out", ""
    digest["digest"] = sha256_bytes(json.dumps(digest, sort_keys=True, separators=(",", ":")).encode())
    (folder / "manifest.json").write_text(json.dumps(digest))

    assert run(["bundle", "sbom", str(folder)]) == 0
    assert run(["bundle", "sbom", str(folder)]) == 2
    assert run(["bundle", "pack", str(folder)]) == 0

    assert sorted(path.name for path in inner.iterdir()) == ["-..-out.cdx.json", "-..-out.edgekit"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["inner", "net"]
    assert refused(json.loads((inner / "-..-out.cdx.json").read_text())) is None
