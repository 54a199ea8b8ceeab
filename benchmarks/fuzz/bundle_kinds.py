"""Mutants of bundles: manifests whose checksums are right, files in them, and zip files."""

from __future__ import annotations

import hashlib
import io
import json
import warnings
import zipfile
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any, Final

import numpy as np
from benchmarks.fuzz import onnx_files, sample_files, seed_models, tflite_files
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.values import TEXTS, alter, as_json, mutated_bytes, number, text

from edgekit.core.bundle import MANIFEST, SAMPLES, Artifact, FileRecord, Manifest, QuantizedShare, _digest_of
from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, SeriesInput, TextInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SeriesOutput, TextOutput
from edgekit.core.spec.tensor_spec import TensorSpec

Files = dict[str, bytes]
_CREATED: Final = "2026-01-01T00:00:00+00:00"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _artifact(name: str, content: bytes, inputs: Any, outputs: Any, precision: str = "fp32") -> Artifact:
    kind = name.rpartition(".")[2]
    return Artifact(
        f"{kind}-{precision}", name, kind, precision, len(content), _sha(content), _sha(content), inputs, outputs,
        opset=18 if kind == "onnx" else None, record={"recipe": f"{kind}-{precision}", "options": {"a": 1}},
        warnings=("a warning",), quantized=QuantizedShare(0.5, 0.5) if precision != "fp32" else None,
    )  # fmt: skip


def _bundle(spec: ModelSpec, models: Mapping[str, bytes], samples: Samples) -> Files:
    import msgspec

    content = io.BytesIO()
    arrays: dict[str, Any] = {f"input:{name}": value for name, value in samples.inputs.items()}
    arrays |= {f"expected:{name}": value for name, value in samples.expected.items()}
    if samples.labels is not None:
        arrays["label"] = samples.labels
    np.savez(content, **arrays)
    files = {**models, SAMPLES: content.getvalue(), "README.md": b"# net\n", "labels.txt": b"a\nb\nc\n"}
    precisions = dict(zip(models, ("fp32", "fp32", "int8"), strict=False))
    artifacts = tuple(
        _artifact(name, model, spec.inputs, spec.outputs, precisions[name]) for name, model in models.items()
    )
    records = {name: FileRecord(_sha(data), len(data)) for name, data in files.items()}
    made = Manifest(spec, artifacts, records, _CREATED, tools={"torch": "2.9"}, source={"name": "net.py:net"})
    files[MANIFEST] = msgspec.json.encode(made)
    return signed(files)


def signed(files: Files, document: Any = None) -> Files:
    """The files with a manifest whose checksums, sizes and digest are right, as its author would write it."""
    document = json.loads(files[MANIFEST]) if document is None else document
    records = document.get("files")
    for name, record in records.items() if isinstance(records, dict) else ():
        if name in files and isinstance(record, dict):
            record |= {"sha256": _sha(files[name]), "size_bytes": len(files[name])}
    artifacts = document.get("artifacts")
    for one in artifacts if isinstance(artifacts, list) else ():
        if isinstance(one, dict) and isinstance(one.get("file"), str) and one["file"] in files:
            one |= {"sha256": _sha(files[one["file"]]), "size_bytes": len(files[one["file"]])}
    try:
        document["digest"] = _digest_of(json.dumps(document).encode())
    except (TypeError, ValueError):
        document["digest"] = ""
    return {**files, MANIFEST: json.dumps(document).encode()}


@cache
def linear() -> Files:
    """Three artifacts of one linear model, with labels, a metric and samples."""
    names = ("linear.onnx", "linear.tflite", "quantized.tflite")
    x = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    expected = x @ np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], np.float32).T + np.array([0.5, -0.5], np.float32)
    tensors = (TensorSpec("x", "float32", ("N", 3), -1.0, 1.0),), (TensorSpec("y", "float32", ("N", 2)),)
    spec = ModelSpec(
        "net", "classification", *tensors, labels=("zero", "one"), metric=Metric("accuracy", 0.5), sizes={"N": (1, 4)}
    )  # fmt: skip
    samples = Samples({"x": x}, expected.argmax(1)).with_expected({"y": expected})
    return _bundle(spec, {name: (seed_models.DATA / name).read_bytes() for name in names}, samples)


@cache
def preprocessed() -> dict[str, Files]:
    """One bundle for each way in which files become inputs, by the suffixes of the files."""
    words = ("<pad>", "<unk>", "a", "man", "rides", "horse")
    rows = {
        "png jpg bmp": ((1, 8, 8), ImageInput(8, 8, 1, resize=(9, 9)), None),
        "wav": ((64,), AudioInput(16000, 64), None),
        "csv": ((4, 2), SeriesInput(("a", "b"), 4), SeriesOutput("a", 60.0)),
        "txt": ((6,), TextInput(words, 6, end=2), TextOutput(words, 2, 6)),
    }
    return {kinds: _for_input(*row) for kinds, row in rows.items()}


def _for_input(shape: tuple[int, ...], how: Any, then: Any) -> Files:
    model = seed_models.classifier(shape)
    x = np.random.default_rng(0).random((6, *shape), np.float32)
    tensors = (TensorSpec("x", "float32", ("N", *shape), 0.0, 1.0),), (TensorSpec("y", "float32", ("N", 3)),)
    spec = ModelSpec("net", "classification" if then is None else "regression", *tensors, labels=("a", "b", "c"))
    fields = {"preprocessing": how, "postprocessing": then}
    import msgspec

    return _bundle(msgspec.structs.replace(spec, **fields), {"m.onnx": model}, Samples({"x": x}))


def _mutated_files(random: Random) -> Files:
    files = dict(random.choice([linear(), linear(), linear(), *preprocessed().values()]))
    document = json.loads(files[MANIFEST])
    if random.random() < 0.65:
        alter(random, document, random.choice((1, 1, 1, 2, 3)))
    else:
        name = random.choice([name for name in files if name != MANIFEST])
        files[name] = _mutated_file(random, name, files[name])
    if random.random() < 0.06:
        files["tuning.json"] = as_json(random, alter(random, _tuning(files), 1))
        if isinstance(listed := document.get("files"), dict):
            listed["tuning.json"] = {}
    files = signed(files, document)
    if random.random() < 0.08:
        document = alter(random, json.loads(files[MANIFEST]))
        files[MANIFEST] = as_json(random, document)
    return files


def _tuning(files: Files) -> Any:
    estimate = {"value": 1e-5, "low": 0.9e-5, "high": 1.1e-5, "n": 8}
    choice = {
        "device": "any", "engine": "onnxruntime 1.2", "artifact": "onnx-fp32", "sha256": _sha(files[MANIFEST]),
        "backend": "onnxruntime", "options": {"threads": "1"}, "latency": estimate, "created": _CREATED,
    }  # fmt: skip
    return {"choices": [choice], "schema_version": 1}


def _mutated_file(random: Random, name: str, content: bytes) -> bytes:
    if name.endswith(".onnx"):
        return onnx_files.mutated(random, [content])
    if name.endswith(".tflite"):
        return tflite_files.mutated(random, [content])
    if name.endswith(".npz"):
        return sample_files.mutated_npz(random, content)
    return random.choice((mutated_bytes(random, content), random.choice(TEXTS).encode(errors="replace")))


_COMMANDS: Final = (
    *("bundle verify B", "bundle inspect B", "inspect B", "run B --input sample:0", "run B --input random:1 --json"),
    *("run B --input sample:0 --artifact tflite-fp32", "run B --input sample:0 --output out.json"),
    *("bundle diff B onnx-fp32 tflite-fp32", "bundle pack B --out out.edgekit", "bundle sbom B --out out.json"),
    *("validate B --json", "validate B --report out.html --report out.md", "profile B --dry-run", "tune B --dry-run"),
    *("deploy B --for python --out out", "deploy B --for c --out out", "deploy B --for js --out out"),
    *("bundle pack B --out out.edgekit --artifact onnx-fp32", "init --dry-run", "compare B::onnx-fp32 B --dry-run"),
)


def bundle(random: Random) -> Case:
    """A bundle whose author is hostile: what is said of it agrees with it, apart from what was changed."""
    files, words = _mutated_files(random), random.choice(_COMMANDS)
    if random.random() < 0.3:
        return Case(_words(words, "b.edgekit"), {"b.edgekit": zipped(random, files)})
    return Case(_words(words, "b"), {f"b/{_safe(name)}": content for name, content in files.items()})


def _words(command: str, name: str) -> tuple[str, ...]:
    return tuple(word.replace("B", name, 1) if word in ("B", "B::onnx-fp32") else word for word in command.split())


def _safe(name: str) -> str:
    return name.replace("..", "").strip("/") or "x"


def zipped(random: Random, files: Files) -> bytes:
    """A packed bundle, with entries as no packer of edgekit writes them now and then."""
    content = io.BytesIO()
    how = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(content, "w", how) as archive:
        warnings.simplefilter("ignore")
        for name, data in sorted(files.items(), key=lambda item: item[0] != MANIFEST):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = how
            if random.random() < 0.03:
                _disturb(random, entry)
            archive.writestr(entry, data)
        if random.random() < 0.1:
            archive.writestr(zipfile.ZipInfo(_odd_name(random)), b"x")
    found = content.getvalue()
    return mutated_bytes(random, found) if random.random() < 0.2 else found


def _odd_name(random: Random) -> str:
    name = text(random, "manifest.json", ["../x", "/etc/x", "a\\b", "MANIFEST.JSON", "b/", "manifest.json", "C:x"])
    return name.encode("utf-8", "replace").decode().replace("\0", "")[:60_000] or "x"


def _disturb(random: Random, entry: zipfile.ZipInfo) -> None:
    how = random.randrange(4)
    if how == 0:
        entry.filename = _odd_name(random)
    elif how == 1:
        entry.external_attr = random.choice((0o120777, 0o040755, 0o010644, 0o104755)) << 16
    elif how == 2:
        entry.extra = random.randbytes(random.choice((1, 4, 40)))
    else:
        entry.create_system, entry.compress_type = random.choice((0, 3, 99)), zipfile.ZIP_BZIP2


def zip_file(random: Random) -> Case:
    """A packed bundle with bytes, or numbers of its directory, that are wrong."""
    found = bytearray(zipped(random, linear()))
    for _ in range(random.choice((1, 1, 2))):
        marks = [place for mark in (b"PK\1\2", b"PK\3\4", b"PK\5\6") for place in _all_places(found, mark)]
        if not marks:  # All of them were overwritten.
            break
        place = random.choice(marks) + random.randrange(4, 46)
        size = random.choice((1, 2, 4))
        if place + size <= len(found):
            found[place : place + size] = (int(number(random)) % 256**size).to_bytes(size, "little")
    words = random.choice(("bundle verify B", "inspect B", "run B --input sample:0", "bundle pack B --out out.edgekit"))
    return Case(_words(words, "b.edgekit"), {"b.edgekit": bytes(found)})


def _all_places(data: bytearray, mark: bytes) -> list[int]:
    found, start = [], data.find(mark)
    while start >= 0:
        found.append(start)
        start = data.find(mark, start + 1)
    return found


def sample(random: Random) -> Case:
    """A file that a user gives as an input, for a bundle that says how such files become inputs."""
    kinds, files = random.choice([("npy npz", linear()), *preprocessed().items()])
    suffix = random.choice(kinds.split())
    content = sample_files.mutated(random, suffix)
    laid = {f"b/{name}": data for name, data in files.items()} | {f"in.{suffix}": content}
    return Case(
        ("run", "b", "--input", f"in.{suffix}", *random.choice(((), ("--json",), ("--output", "out.json")))), laid
    )
