"""Converts between what a file stores and what callers use: integers and floats, int32 and int64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import UserError
from edgekit.runtime.backends.signatures import TensorEntry

if TYPE_CHECKING:
    from edgekit.core.samples import Array

    Convert = Callable[[Any], Array]


def storing(tensor: TensorEntry) -> Mapping[np.dtype[Any], Convert]:
    """How arrays of further dtypes are converted to what `tensor` stores; empty if there are none.

    Floats are divided by the scale, rounded and clipped. int64 is narrowed to int32; a value that does not fit raises
    `UserError`.
    """
    if tensor.is_quantized:
        return {np.dtype(np.float32): _quantize(tensor)}
    # Converters store int64 as int32.
    return {np.dtype(np.int64): _narrow(tensor)} if tensor.dtype == "int32" else {}


def giving(tensor: TensorEntry) -> Convert | None:
    """How a quantized output is converted to float32; None for any other."""
    if not tensor.is_quantized:
        return None
    scale, zero_point = np.float32(tensor.scale), np.float32(tensor.zero_point)

    def convert(steps: Any) -> Array:
        values: Array = np.subtract(steps, zero_point, dtype=np.float32)
        return np.multiply(values, scale, out=values)

    return convert


def _quantize(tensor: TensorEntry) -> Convert:
    dtype = np.dtype(tensor.dtype)
    limits = np.iinfo(dtype)
    low, high = np.float32(limits.min), np.float32(limits.max)
    scale, zero_point = np.float32(tensor.scale), np.float32(tensor.zero_point)

    def convert(values: Any) -> Array:
        # In place: on a small tensor each new array costs as much as the arithmetic.
        steps = np.divide(values, scale)
        np.rint(steps, out=steps)
        np.add(steps, zero_point, out=steps)
        np.maximum(steps, low, out=steps)
        np.minimum(steps, high, out=steps)
        return np.asarray(steps.astype(dtype))

    return convert


def _narrow(tensor: TensorEntry) -> Convert:
    dtype = np.dtype(tensor.dtype)

    def convert(values: Any) -> Array:
        narrow = values.astype(dtype)
        if not (narrow == values).all():
            beyond = values[narrow != values].flat[0]
            raise UserError(f"'{tensor.name}' contains {beyond}, which does not fit into the {dtype} of this file.")
        return np.asarray(narrow)

    return convert
