"""Reader of idx files, the format of MNIST: a big-endian header, then the values."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Array
from edgekit.train.data.dataset_files import read_plain

# The third byte of the header names the type (http://yann.lecun.com/exdb/mnist, "the IDX file format").
_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path) -> Array:
    """The array in an idx file, plain or gzip.

    Raises:
        Unreadable: The file is not an idx file, or its size does not match its header.
    """
    data = read_plain(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _DTYPES:
        raise Unreadable(f"'{path}' is not an idx file: it starts with {data[:4].hex(' ') or 'nothing'}.")
    dtype, rank = np.dtype(_DTYPES[data[2]]), data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise Unreadable(f"'{path}' is truncated: its header is cut off.")
    shape = struct.unpack(f">{rank}I", data[4:start])
    expected = start + dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(data) != expected:
        raise Unreadable(f"'{path}' is truncated or damaged: {len(data)} bytes, expected {expected}.")
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def read_labelled_images(folder: Path, images: str, labels: str) -> tuple[Array, Array]:
    """Images (S, H, W) uint8 and their labels (S,) int64 from a pair of idx files.

    Raises:
        Unreadable: A file is damaged, or the two do not belong together.
    """
    pixels, classes = read_idx(folder / images), read_idx(folder / labels)
    if pixels.ndim != 3 or classes.ndim != 1 or len(pixels) != len(classes):
        raise Unreadable(f"'{folder / images}' {pixels.shape} and '{labels}' {classes.shape} do not belong together.")
    return pixels, classes.astype(np.int64)
