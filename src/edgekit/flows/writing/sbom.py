"""The bill of materials of a bundle in the format of CycloneDX 1.6, for tools that list what a product contains."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from edgekit.core.bundle import CASES, SAMPLES, Artifact, FileRecord, Manifest
from edgekit.core.spec.tensor_spec import TensorSpec

SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_MODEL: Final = "model"
_DATA: Final = "data"
_OWN: Final = "edgekit"
_DISTRIBUTION: Final = "edgekit-onnx"
Part = dict[str, Any]


def sbom(manifest: Manifest) -> Part:
    """A CycloneDX document: the model with its card, its artifacts, other files and data, and what made them.

    Equal manifests give equal documents: the serial number follows from the checksum of the manifest.
    """
    components = [
        *(_artifact(one) for one in manifest.artifacts),
        *_files(manifest),
        *_dataset(manifest),
        *(_tool(name, version) for name, version in sorted(manifest.tools.items()) if name != _OWN),
    ]
    document: Part = {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, manifest.digest)}",
        "version": 1,
        "metadata": _metadata(manifest),
        "components": components,
        "dependencies": _dependencies(components),
    }
    return document


def _metadata(manifest: Manifest) -> Part:
    version = manifest.tools.get(_OWN, "")
    tool = {"type": "application", "name": _DISTRIBUTION, **({"version": version} if version else {})}
    dated = {"timestamp": manifest.created} if manifest.created else {}
    return {**dated, "tools": {"components": [tool]}, "component": _model(manifest)}


def _model(manifest: Manifest) -> Part:
    """The model that all artifacts are forms of, with its card."""
    spec = manifest.spec
    facts = {f"source:{name}": value for name, value in sorted(manifest.source.items())}
    return {
        "bom-ref": _MODEL,
        "type": "machine-learning-model",
        "name": spec.name,
        "version": manifest.digest,
        **({"description": spec.summary} if spec.summary else {}),
        **({"licenses": [{"license": {"name": spec.licence}}]} if spec.licence else {}),
        "modelCard": _card(manifest),
        "properties": _properties({**facts, "manifest:sha256": manifest.digest}),
    }


def _card(manifest: Manifest) -> Part:
    spec = manifest.spec
    parameters: Part = {
        "task": spec.task,
        "inputs": [{"format": _tensor(one)} for one in spec.inputs],
        "outputs": [{"format": _tensor(one)} for one in spec.outputs],
    }
    if manifest.split:
        parameters["datasets"] = [{"ref": _DATA}]
    limits = [text for text in (spec.caveat, *dict.fromkeys(_warnings(manifest))) if text]
    return {
        "modelParameters": parameters,
        **({"considerations": {"technicalLimitations": limits}} if limits else {}),
    }


def _warnings(manifest: Manifest) -> Iterator[str]:
    for artifact in manifest.artifacts:
        yield from (f"{artifact.recipe}: {text}" for text in artifact.warnings)


def _tensor(tensor: TensorSpec) -> str:
    """`x: float32[N,1,28,28]`."""
    return f"{tensor.name}: {tensor.dtype}[{','.join(map(str, tensor.shape))}]"


def _artifact(artifact: Artifact) -> Part:
    facts = {
        "recipe": artifact.recipe,
        "format": artifact.format,
        "precision": artifact.precision,
        "opset": "" if artifact.opset is None else str(artifact.opset),
        "size_bytes": str(artifact.size_bytes),
        "id": artifact.id,
    }
    return {
        "bom-ref": f"artifact:{artifact.recipe}",
        "type": "machine-learning-model",
        "name": artifact.file,
        "hashes": _hashes(artifact.sha256),
        "properties": _properties(facts),
    }


def _files(manifest: Manifest) -> Iterator[Part]:
    """Every file of the bundle that is not the file of an artifact."""
    own = {artifact.file for artifact in manifest.artifacts}
    for name, record in sorted(manifest.files.items()):
        if name not in own:
            yield _file(name, record)


def _file(name: str, record: FileRecord) -> Part:
    return {
        "bom-ref": f"file:{name}",
        "type": "data" if name in (SAMPLES, CASES) else "file",
        "name": name,
        "hashes": _hashes(record.sha256),
        "properties": _properties({"size_bytes": str(record.size_bytes)}),
    }


def _dataset(manifest: Manifest) -> Iterator[Part]:
    """The samples that calibrated and evaluated the artifacts; the bundle contains a few of them."""
    split = manifest.split
    if split is None:
        return
    facts = {
        "samples": str(split.total),
        "calibration": f"{split.calibration}, sha256 {split.calibration_digest}",
        "evaluation": f"{split.evaluation}, sha256 {split.evaluation_digest}",
        "seed": str(split.seed),
    }
    contents = {"contents": {"properties": _properties(facts)}}
    yield {
        "bom-ref": _DATA,
        "type": "data",
        "name": split.source or "samples",
        "data": [{"type": "dataset", "name": split.source or "samples", **contents}],
    }


def _tool(name: str, version: str) -> Part:
    """What took part in making the bundle, and is not in it."""
    kind = "generic" if name == "python" else "pypi"
    return {
        "bom-ref": f"tool:{name}",
        "type": "platform" if name == "python" else "library",
        "name": name,
        "version": version,
        "scope": "excluded",
        "purl": f"pkg:{kind}/{quote(name)}@{quote(version, safe='')}",
    }


def _dependencies(components: list[Part]) -> list[Part]:
    """The model consists of all the rest."""
    return [{"ref": _MODEL, "dependsOn": sorted({one["bom-ref"] for one in components})}]


def _hashes(sha256: str) -> list[Part]:
    return [{"alg": "SHA-256", "content": sha256}]


def _properties(facts: Mapping[str, str]) -> list[Part]:
    return [{"name": f"edgekit:{name}", "value": value} for name, value in facts.items() if value]
