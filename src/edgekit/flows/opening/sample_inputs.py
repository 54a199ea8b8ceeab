"""The inputs of a model as its samples file has them, for users who name none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import LABEL, Array, read_arrays
from edgekit.core.spec import DTYPES, TensorSpec


def inputs_of_samples(samples: Path | None) -> tuple[TensorSpec, ...]:
    """Inputs as the samples file has them, with the batch free; for users who name none.

    float64 is what numpy makes of any list of numbers, and hardly ever what a network computes in: float32 is taken.

    Raises:
        UserError: There is no file, or an array has a dtype that no input has.
    """
    if samples is None:
        raise UserError(
            "The inputs of the model are unknown.", hint="--input 'x:float32[N,3,32,32]' --samples FILE.npz"
        )
    arrays = read_arrays(samples, UserError)
    named = {name: array for name, array in arrays.items() if name != LABEL and not name.startswith("target:")}
    return tuple(_input_of(name, array) for name, array in named.items())


def _input_of(name: str, array: Array) -> TensorSpec:
    dtype = "float32" if array.dtype == np.float64 else str(array.dtype)
    if dtype not in DTYPES:
        raise UserError(
            f"Samples '{name}' have dtype {dtype}; an input has one of {', '.join(DTYPES)}.",
            hint=f"numpy.savez(FILE, {name}=array.astype('float32'))",
        )
    return TensorSpec(name, dtype, ("N", *array.shape[1:]))
