from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import EnvironmentFault, Unreadable, UserError
from edgekit.train.data.idx import read_idx
from edgekit.train.data.mnist import FILES, mnist

PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read_plain_and_packed(tmp_path: Path, pack: type[bytes]) -> None:
    (tmp_path / "images").write_bytes(pack(idx(PIXELS)))

    assert np.array_equal(read_idx(tmp_path / "images"), PIXELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx(PIXELS)[:-1], "truncated or damaged: 33 bytes, expected 34"),
        (idx(PIXELS)[:9], "its header is cut off"),
        (b"", "it starts with nothing"),
        (b"PK\x03\x04", "is not an idx file"),
        (gzip.compress(idx(PIXELS), mtime=0)[:-9], "truncated or damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad-images").write_bytes(content)

    with pytest.raises(Unreadable, match=f"bad-images.*{message}"):
        read_idx(tmp_path / "bad-images")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    for name in FILES[:-1]:
        (tmp_path / "mnist" / name).write_bytes(b"")

    with pytest.raises(UserError, match=r"t10k-labels-idx1-ubyte.gz' is missing"):
        mnist(tmp_path)


def test_nothing_is_downloaded_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEKIT_DATA", raising=False)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))

    with pytest.raises(EnvironmentFault, match="downloads it only on request") as problem:
        mnist()

    assert "--data DIR" in problem.value.hint


def test_a_data_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Data folder '.*' does not exist"):
        mnist(tmp_path / "nowhere")


def test_mnist_is_read_from_a_folder_of_data_sets(tmp_path: Path) -> None:
    (tmp_path / "mnist").mkdir()
    generator = np.random.default_rng(0)
    for images, labels, count in ((*FILES[:2], 200), (*FILES[2:], 50)):
        pixels = generator.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (tmp_path / "mnist" / images).write_bytes(gzip.compress(idx(pixels)))
        (tmp_path / "mnist" / labels).write_bytes(gzip.compress(idx((np.arange(count) % 10).astype(np.uint8))))

    found = mnist(tmp_path)

    assert found.validation is not None
    assert len(found.train) + len(found.validation) == 200
    assert found.test.inputs["image"].shape == (50, 1, 28, 28)
    assert found.test.inputs["image"].max() <= 1.0
