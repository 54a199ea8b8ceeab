"""Tensors as the file declares them, plus what only the ModelSpec has: axis names, bounds and padding."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edgekit.core.spec import Axis, TensorSpec


def completed(tensor: TensorSpec, known: Sequence[TensorSpec]) -> TensorSpec:
    """`tensor` as read from a file, with axis names, bounds and padding from the spec of the same name.

    Sizes and dtype stay as in the file: the file is what runs.
    """
    spec = next((other for other in known if other.name == tensor.name), None)
    if spec is None or len(spec.shape) != len(tensor.shape):
        return tensor
    shape = tuple(_axis(mine, theirs) for mine, theirs in zip(tensor.shape, spec.shape, strict=True))
    return msgspec.structs.replace(tensor, shape=shape, low=spec.low, high=spec.high, padding=spec.padding)


def _axis(file: Axis, spec: Axis) -> Axis:
    return spec if isinstance(file, str) else file
