"""Which fixed-shape entry points a TFLite file has."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Final

from edgekit.core.bundle import Signature
from edgekit.core.spec.model_spec import ModelSpec

# What every tool looks for when a file has one entry point.
DEFAULT: Final = "serving_default"


def signatures_of(spec: ModelSpec) -> tuple[Signature, ...]:
    """One signature per combination of the sizes of the dynamic axes, ascending; `N1_T32` if there are several."""
    axes = spec.free_axes
    combinations = list(itertools.product(*(spec.sizes_of(axis) for axis in axes)))
    return tuple(
        Signature(_name(axes, sizes, len(combinations)), dict(zip(axes, sizes, strict=True))) for sizes in combinations
    )


def fits(signatures: tuple[Signature, ...], sizes: Mapping[str, int], spec: ModelSpec) -> bool:
    """True if some signature accepts `sizes`: batches are split if each output has its rows on one axis, and inputs
    padded if the spec has a padding value."""
    return not signatures or any(
        all(_takes(axis, size, signature.sizes[axis], spec) for axis, size in sizes.items()) for signature in signatures
    )


def _takes(axis: str, size: int, offered: int, spec: ModelSpec) -> bool:
    if axis == spec.batch_axis and spec.is_splittable:
        return True
    return size == offered or (size < offered and is_padded(axis, spec))


def is_padded(axis: str, spec: ModelSpec) -> bool:
    """True when every input with this axis has a padding value."""
    carriers = [tensor for tensor in spec.inputs if axis in tensor.shape]
    return all(tensor.padding is not None for tensor in carriers)


def _name(axes: tuple[str, ...], sizes: tuple[int, ...], count: int) -> str:
    return "_".join(f"{axis}{size}" for axis, size in zip(axes, sizes, strict=True)) if count > 1 else DEFAULT
