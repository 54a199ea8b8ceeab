"""Arrays as the C runner reads and writes them: a line `DTYPE SIZE,SIZE,... KEY`, then the raw numbers."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from edgekit.core.errors import DeviceError
from edgekit.core.samples import Array, Feed

_BITS: Final = {"int": (8, 16, 32, 64), "uint": (8, 16, 32, 64), "float": (16, 32, 64), "complex": (64, 128)}
_DTYPES: Final = frozenset(["bool", *(f"{kind}{bits}" for kind, sizes in _BITS.items() for bits in sizes)])


def packed(arrays: Feed) -> bytes:
    """Arrays as records, in order of the leading numbers of their keys; both machines are little-endian."""
    ordered = sorted(arrays.items(), key=lambda item: int(item[0].partition(":")[0]))
    return b"".join(_record(key, np.asarray(array, order="C")) for key, array in ordered)


def unpacked(data: bytes) -> Feed:
    """The arrays in records.

    Raises:
        DeviceError: The data is damaged.
    """
    arrays: Feed = {}
    place = 0
    try:
        while place < len(data):
            end = data.index(b"\n", place)
            dtype, sizes, key = data[place:end].decode().split(" ", 2)
            shape = () if sizes == "-" else tuple(int(size) for size in sizes.split(","))
            if dtype not in _DTYPES or any(size < 0 for size in shape):
                raise ValueError(f"'{key}' has type '{dtype}' and shape {list(shape)}")
            count = math.prod(shape)
            whole = np.frombuffer(data, np.dtype(dtype), count, end + 1) if count else np.empty(0, dtype)
            arrays[key] = whole.reshape(shape).copy()
            place = end + 1 + arrays[key].nbytes
    except (ValueError, TypeError, OverflowError, MemoryError) as err:
        raise DeviceError(f"The outputs were damaged in transfer: {err}.") from err
    return arrays


def _record(key: str, array: Array) -> bytes:
    sizes = ",".join(map(str, array.shape)) or "-"
    return f"{array.dtype.name} {sizes} {key}\n".encode() + array.tobytes()
