"""Values at the border of a file that stores other numbers than callers use: integers for reals, int32 for int64."""

from __future__ import annotations

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array
from edgekit.runtime.signatures import TensorEntry


def stored(array: Array, tensor: TensorEntry) -> Array:
    """`array` as the file stores it: reals divided by the scale, rounded and clipped; int64 narrowed to int32.

    Raises:
        UserError: A value does not fit into int32.
    """
    if array.dtype.name == tensor.dtype:
        return np.ascontiguousarray(array)
    if tensor.is_quantized and array.dtype == np.float32:
        return _quantized(array, tensor)
    return _narrowed(array, tensor)


def given(array: Array, tensor: TensorEntry) -> Array:
    """`array` as callers see it: float32 for a quantized output, else unchanged."""
    if not tensor.is_quantized:
        return array
    return (array.astype(np.float32) - np.float32(tensor.zero_point)) * np.float32(tensor.scale)


def _quantized(array: Array, tensor: TensorEntry) -> Array:
    limits = np.iinfo(tensor.dtype)
    steps = np.rint(array.astype(np.float32, copy=False) / np.float32(tensor.scale)) + tensor.zero_point
    return np.asarray(np.clip(steps, limits.min, limits.max).astype(tensor.dtype))


def _narrowed(array: Array, tensor: TensorEntry) -> Array:
    narrow = array.astype(tensor.dtype)
    if not np.array_equal(narrow, array):
        beyond = array[narrow != array].flat[0]
        raise UserError(f"'{tensor.name}' holds {beyond}, which does not fit into the {tensor.dtype} of this file.")
    return narrow
