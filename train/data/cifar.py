"""CIFAR-10: 32x32 colour images in ten classes, from the official binary files or from a tar of JPEG files."""

from __future__ import annotations

import io
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Array, Samples
from edgekit.core.system.optional import need
from edgekit.train.data.dataset import Dataset, dataset, hold_back
from edgekit.train.data.dataset_checks import without_copies
from edgekit.train.data.dataset_files import find, read_plain

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BINARY = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
JPEG = "cifar10_jpeg_q75.tar.gz"
TERMS = "CIFAR-10 states no licence for its images"
RECORD = 1 + 3 * 32 * 32
VALIDATION_SHARE = 0.04


def cifar10(data: Path | None = None) -> Dataset:
    """Images float32 (S, 3, 32, 32) from 0 to 1; from the lossless official files if present, otherwise from JPEG.

    Train and test use the same files: a network loses 8 to 11 points on the other kind.
    """
    folder = _folder(data)
    train, test = _binary(folder) if (folder / BINARY[0]).is_file() else _jpeg(folder / JPEG)
    source = "cifar10" if (folder / BINARY[0]).is_file() else "cifar10 (JPEG, quality 75)"
    # A training image that is an exact copy of a test image would be a leak.
    rest, validation = hold_back(without_copies(train, test), VALIDATION_SHARE)
    return dataset(rest, test, source=source, licence="", validation=validation)


def read_binary(path: Path) -> tuple[Array, Array]:
    """Images uint8 (S, 3, 32, 32) and labels int64 (S,) of one official binary file, plain or gzip.

    Raises:
        Unreadable: The file is not a whole number of records, or a label is above 9.
    """
    data = np.frombuffer(read_plain(path), np.uint8)
    if len(data) == 0 or len(data) % RECORD:
        raise Unreadable(f"'{path}' is truncated or damaged: {len(data)} bytes are not a multiple of {RECORD}.")
    records = data.reshape(-1, RECORD)
    if records[:, 0].max() >= len(LABELS):
        raise Unreadable(f"'{path}' is damaged: record {int(records[:, 0].argmax())} has label {records[:, 0].max()}.")
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def _folder(data: Path | None) -> Path:
    from edgekit.core.errors import EnvironmentFault, UserError

    try:
        return find("cifar10", BINARY, data)
    except (UserError, EnvironmentFault):
        return find("cifar10", (JPEG,), data)


def _binary(folder: Path) -> tuple[Samples, Samples]:
    parts = [read_binary(folder / name) for name in BINARY]
    train = _samples(np.concatenate([part[0] for part in parts[:-1]]), np.concatenate([part[1] for part in parts[:-1]]))
    return train, _samples(*parts[-1])


def _jpeg(path: Path) -> tuple[Samples, Samples]:
    """The images of `train/CLASS/NUMBER.jpg` and `test/CLASS/NUMBER.jpg`."""
    found: dict[str, list[tuple[Array, int]]] = {"train": [], "test": []}
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                split, _, name = entry.name.partition("/")
                if entry.isfile() and split in found:
                    stream = archive.extractfile(entry)
                    assert stream is not None
                    found[split].append((_decoded(stream.read(), path, entry.name), _label(name, path)))
    except (tarfile.TarError, EOFError, zlib.error, OSError) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"Download '{path.name}' again.") from err
    if not found["train"] or not found["test"]:
        raise Unreadable(f"'{path}' contains no 'train' or no 'test' images.")
    train, test = (_samples(np.stack([a for a, _ in rows]), np.array([b for _, b in rows])) for rows in found.values())
    return train, test


def _decoded(data: bytes, path: Path, name: str) -> Array:
    image: Any = need("PIL.Image", extra="train")
    try:
        with image.open(io.BytesIO(data)) as picture:
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except OSError as err:
        raise Unreadable(f"'{path}' is damaged: cannot read '{name}' as an image: {err}.") from err


def _label(name: str, path: Path) -> int:
    kind = name.partition("/")[0]
    if kind not in LABELS:
        raise Unreadable(f"'{path}' contains an unknown class '{kind}'.")
    return LABELS.index(kind)


def _samples(pixels: Array, labels: Array) -> Samples:
    return Samples({"image": pixels.astype(np.float32) / np.float32(255)}, labels.astype(np.int64))
