"""One artifact of a bundle as a bundle of its own."""

from __future__ import annotations

from pathlib import Path

from tests.core.test_bundle import write_bundle

from edgekit.core.bundle import SAMPLES, WEIGHTS, Bundle, pack, write_manifest


def test_one_artifact_is_packed_without_the_others_and_the_weights(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "net")
    (folder / WEIGHTS).write_bytes(b"tensors")
    with Bundle.open(folder) as bundle:
        write_manifest(folder, bundle.manifest)  # it knows what was added

    with Bundle.open(folder) as whole:
        packed = pack(whole, tmp_path / "one.edgekit", only=whole.artifact("onnx-int8"))

    with Bundle.open(packed) as one:
        assert [artifact.recipe for artifact in one.artifacts] == ["onnx-int8-static-u8s8"]
        assert one.samples() is not None
        assert {"net-fp32.onnx", WEIGHTS} & set(one.manifest.files) == set()
        assert {"net-int8.onnx", SAMPLES} <= set(one.manifest.files)
