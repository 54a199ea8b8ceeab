"""Converts between what a file stores and what callers use: integers and floats, int32 and int64.

The one rule for a quantized input, which sessions, `run`, `--samples` and the runner of devices follow: an integer
array holds the stored codes, value by value; floats are quantized by scale and zero point. Integers that could
mean something else are refused: codes of another type, or values that the stored type does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from edgekit.core.errors import UserError
from edgekit.runtime.backends.signatures import Family, TensorEntry

if TYPE_CHECKING:
    from edgekit.core.samples import Array

    Convert = Callable[[Any], Array]


# What numpy makes of a list of integers; its values are codes if the stored type has them.
_PLAIN: Final = np.dtype(np.int64)


class Stored(NamedTuple):
    """How a file stores an input: a value is `(code - zero_point) * scale`."""

    dtype: str
    scale: float
    zero_point: int


def codes_of(array: Array, name: str, dtype: str) -> Array:
    """The integers of `array` as codes of `dtype`, unchanged.

    Raises:
        UserError: They are of another type than `dtype` and int64, or outside its range.
    """
    if array.dtype == dtype:
        return array
    limits = np.iinfo(dtype)
    if array.dtype != _PLAIN:
        raise UserError(
            f"'{name}' is {array.dtype}, and the file stores {dtype}: these are not its codes.", hint=_given(dtype)
        )
    if array.size and not (limits.min <= int(array.min()) and int(array.max()) <= limits.max):
        found = f"from {array.min()} to {array.max()}"
        raise UserError(f"'{name}' has integers {found}, which are not codes of {dtype}.", hint=_given(dtype))
    return array.astype(dtype)


def values_of(array: Array, name: str, stored: Stored) -> Array:
    """The real numbers that an array given for a quantized input means, as float32; errors as in `codes_of`."""
    if array.dtype.kind not in "iu":
        return array
    codes = codes_of(array, name, stored.dtype).astype(np.float32)
    return (codes - np.float32(stored.zero_point)) * np.float32(stored.scale)


def _given(dtype: str) -> str:
    return f"Give {dtype} codes, or real numbers as float32, which are quantized."


def storing(tensor: TensorEntry) -> Mapping[np.dtype[Any], Convert]:
    """How arrays of further dtypes are converted to what `tensor` stores; empty if there are none.

    Floats are divided by the scale, rounded and clipped; int64 are codes, see above. Elsewhere int64 is
    narrowed to int32; a value that does not fit raises `UserError`.
    """
    if tensor.is_quantized:
        quantize, codes = _quantize(tensor), partial(codes_of, name=tensor.name, dtype=tensor.dtype)
        floats = (np.float32, np.float16, np.float64)
        return {**{np.dtype(kind): quantize for kind in floats}, np.dtype(np.int64): codes}
    # Converters store int64 as int32.
    return {np.dtype(np.int64): _narrow(tensor)} if tensor.dtype == "int32" else {}


def giving(tensor: TensorEntry) -> Convert | None:
    """How a quantized output is converted to float32; None for any other."""
    if not tensor.is_quantized:
        return None
    scale, zero_point = np.float32(tensor.scale), np.float32(tensor.zero_point)

    def convert(steps: Any) -> Array:
        # `asarray`: of an array without an axis, numpy makes a number, which takes no result.
        values: Array = np.asarray(np.subtract(steps, zero_point, dtype=np.float32))
        return np.multiply(values, scale, out=values)

    return convert


def _quantize(tensor: TensorEntry) -> Convert:
    dtype = np.dtype(tensor.dtype)
    limits = np.iinfo(dtype)
    low, high = np.float32(limits.min), np.float32(limits.max)
    scale, zero_point = np.float32(tensor.scale), np.float32(tensor.zero_point)

    def convert(values: Any) -> Array:
        # In place: on a small tensor each new array costs as much as the arithmetic.
        steps = np.asarray(np.divide(values, scale, dtype=np.float32))
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


def stored_inputs(family: Family) -> dict[str, Stored]:
    """How the quantized inputs are stored."""
    entries = family.entries[0].inputs
    return {one.name: Stored(one.dtype, one.scale, one.zero_point) for one in entries if one.is_quantized}


def also_taken(family: Family) -> dict[str, tuple[str, ...]]:
    """Further dtypes that each input accepts: the stored one if callers see another, and what is converted to it."""
    taken = {entry.name: {entry.dtype, *(dtype.name for dtype in storing(entry))} for entry in family.entries[0].inputs}
    return {spec.name: tuple(sorted(taken[spec.name] - {spec.dtype})) for spec in family.inputs}
