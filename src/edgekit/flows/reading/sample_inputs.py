"""The inputs of a model as its samples have them, for users who name none."""

from __future__ import annotations

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array
from edgekit.core.spec.input_kinds import Preprocessing
from edgekit.core.spec.tensor_spec import DTYPES, TensorSpec
from edgekit.flows.reading.held import UNNAMED, Held, input_arrays
from edgekit.flows.reading.preprocess_option import input_of

_NAME = "x"


def inputs_of(held: Held | None, how: Preprocessing | None) -> tuple[TensorSpec, ...]:
    """Inputs as the preprocessing makes them or as the samples have them, with the batch free; for users who name none.

    float64 is what numpy makes of any list of numbers, and hardly ever what a network computes in: float32 is taken.

    Raises:
        UserError: There are neither, no array is an input, or one has a dtype that no input has.
    """
    made = None if how is None else input_of(how)
    if held is None and made is None:
        raise UserError("The inputs of the model are unknown.", hint="--input 'x:float32[N,3,32,32]' --samples FILE")
    arrays = {} if held is None else input_arrays(held)
    if held is not None and not arrays:
        raise UserError(
            f"Samples '{held.path}' contain labels but no input of the model.",
            hint="numpy.savez(FILE, x=inputs, label=class_indices)",
        )
    if made is not None and len(arrays) < 2:
        name = next(iter(arrays), UNNAMED) or made.name
        return (TensorSpec(name, made.dtype, made.shape),)
    return tuple(_input_of(name or _NAME, array) for name, array in arrays.items())


def _input_of(name: str, array: Array) -> TensorSpec:
    dtype = "float32" if array.dtype == np.float64 else str(array.dtype)
    if dtype not in DTYPES:
        raise UserError(
            f"Samples '{name}' have dtype {dtype}; an input has one of {', '.join(DTYPES)}.",
            hint=f"numpy.savez(FILE, {name}=array.astype('float32'))",
        )
    return TensorSpec(name, dtype, ("N", *array.shape[1:]))
