"""Axes of a file that were fixed when it was made, and that a user declares to be free."""

from __future__ import annotations

from pathlib import Path

import msgspec

from edgekit.core.errors import UserError
from edgekit.core.spec.tensor_spec import TensorSpec


def freed(tensor: TensorSpec, wanted: TensorSpec | None, path: Path) -> TensorSpec:
    """The tensor with the axes of `wanted`: names where the file has any, and a free batch where it has a fixed one."""
    if wanted is None:
        return tensor
    pairs = list(zip(tensor.shape, wanted.shape, strict=False))
    fits = len(tensor.shape) == len(wanted.shape) and all(
        one == other or isinstance(one, str) or (place == 0 and isinstance(other, str))
        for place, (one, other) in enumerate(pairs)
    )
    if wanted.dtype != tensor.dtype or not fits:
        raise UserError(f"'{path}' takes '{tensor}', not '{wanted}'.", hint=f"--input '{tensor}'")
    return msgspec.structs.replace(tensor, shape=wanted.shape)
