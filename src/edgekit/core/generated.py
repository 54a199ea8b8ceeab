"""Generated inputs, for models without samples."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import DTYPES, TensorSpec

_MOST_VALUES: Final = 1 << 40
_WORDS: Final = ("one", "two", "three")


def generated(spec: ModelSpec, *, count: int, seed: int = 0) -> Samples:
    """`count` inputs within the ranges of `spec`, dynamic axes at their largest size, without reference outputs.

    Floats without a range are standard normal, integers without one are 0 or 1, text is one of three words. Masks, by
    their name, are 1 everywhere: they mark every position as valid.

    Raises:
        UserError: An input has a negative size, an unknown type, a range without numbers in it, or more values than any
            memory holds.
    """
    rng = np.random.default_rng(seed)
    sizes = {axis: max(spec.sizes_of(axis)) for axis in spec.free_axes}
    skip = 0 if spec.batch_axis is None else 1
    shapes = {tensor.name: (count, *tensor.concrete(sizes)[skip:]) for tensor in spec.inputs}
    for tensor in spec.inputs:
        _check(tensor, shapes[tensor.name])
    return Samples({tensor.name: _draw(rng, tensor, shapes[tensor.name]) for tensor in spec.inputs})


def _check(tensor: TensorSpec, shape: tuple[int, ...]) -> None:
    if tensor.dtype not in DTYPES:
        raise UserError(f"No values can be generated for input '{tensor.name}' of type '{tensor.dtype}'.")
    if min(shape) < 0 or math.prod(shape) > _MOST_VALUES:
        raise UserError(f"No values can be generated for input '{tensor.name}' of shape {list(shape)}.")
    low, high = tensor.low or 0.0, 1.0 if tensor.high is None else tensor.high
    if not 0 <= high - low < math.inf:
        raise UserError(f"No values can be generated for input '{tensor.name}' between {low} and {high}.")


def _draw(rng: np.random.Generator, tensor: TensorSpec, shape: tuple[int, ...]) -> NDArray[Any]:
    if tensor.dtype == "str":
        return rng.choice(_WORDS, shape)
    if "mask" in tensor.name.lower():
        return np.ones(shape, tensor.dtype)
    if np.dtype(tensor.dtype).kind in "iub":
        low, high = int(tensor.low or 0), int(tensor.high if tensor.high is not None else 1)
        return rng.integers(low, high + 1, shape).astype(tensor.dtype)
    if tensor.low is not None and tensor.high is not None:
        # Numpy has no range from 0.0 to -0.0; adding 0.0 makes that 0.0.
        return rng.uniform(tensor.low, tensor.high + 0.0, shape).astype(tensor.dtype)
    return rng.normal(size=shape).astype(tensor.dtype)
