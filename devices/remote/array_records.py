"""Arrays as the C runner reads and writes them: a line `DTYPE SIZE,SIZE,... KEY`, then the raw numbers."""

from __future__ import annotations

import numpy as np

from edgekit.core.errors import DeviceError
from edgekit.core.samples import Array, Feed


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
            count = int(np.prod(shape, dtype=np.int64))
            arrays[key] = np.frombuffer(data, np.dtype(dtype), count, end + 1).reshape(shape).copy()
            place = end + 1 + arrays[key].nbytes
    except (ValueError, TypeError) as err:
        raise DeviceError(f"The outputs were damaged in transfer: {err}.") from err
    return arrays


def _record(key: str, array: Array) -> bytes:
    sizes = ",".join(map(str, array.shape)) or "-"
    return f"{array.dtype.name} {sizes} {key}\n".encode() + array.tobytes()
