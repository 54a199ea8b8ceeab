"""A file that is no model is described by what it looks like."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import ModelUnreadable
from edgekit.runtime.backends.file_kind import head_of, looks_like, not_a_model


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04rest", "a zip archive, such as a bundle or a PyTorch checkpoint"),
        (b"\x80\x04\x95rest", "a Python pickle"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer; fetch the file with 'git lfs pull'"),
        (b"\x18\0\0\0TFL3", "a TFLite model"),
        (b'\x20\0\0\0\0\0\0\0{"w":', "a safetensors file"),
        (b"import torch\n", "a text file"),
        (b"\x00\x01\x02\x03\xff\xfe", "an unknown binary file"),
    ],
)
def test_a_head_is_recognised(head: bytes, kind: str) -> None:
    assert looks_like(head) == kind


def test_every_tiny_model_is_recognised(data: Path) -> None:
    assert {looks_like(head_of(file)) for file in data.glob("*.onnx")} == {"an ONNX model"}
    assert {looks_like(head_of(file)) for file in data.glob("*.tflite")} == {"a TFLite model"}


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match=r"There is no model at '.*net\.onnx'\."):
        head_of(tmp_path / "net.onnx")
    with pytest.raises(ModelUnreadable, match=r"is a folder, not a model\."):
        head_of(tmp_path)


def test_the_right_format_is_called_damaged_and_another_is_named(data: Path) -> None:
    assert "is a damaged or truncated ONNX model." in not_a_model(data / "two.onnx", "ONNX").message
    assert "is not in TFLite format: it looks like an ONNX model." in not_a_model(data / "two.onnx", "TFLite").message
