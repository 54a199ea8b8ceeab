"""Sizes of the dynamic axes: those of the samples, and shorter ones at which every file is checked and calibrated."""

from __future__ import annotations

from typing import Final

import msgspec

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import BATCH
from edgekit.export.shapes.signatures import is_padded

# At how many lengths besides the samples' own every dynamic axis except the batch is checked.
LENGTHS: Final = 2


def sizes_of_samples(samples: Samples, spec: ModelSpec) -> dict[str, int]:
    """The size of every dynamic axis except the batch, as the samples have it."""
    sizes: dict[str, int] = {}
    for tensor in spec.inputs:
        shape = samples.inputs[tensor.name].shape[0 if spec.batch_axis else 1 :]
        sizes |= {
            axis: shape[index]
            for index, axis in enumerate(tensor.shape)
            if isinstance(axis, str) and axis != spec.batch_axis
        }
    return sizes


def lengths(size: int, spec: ModelSpec, axis: str) -> tuple[int, ...]:
    """Shorter lengths to try, the most informative first: the module may refuse some of them.

    A batch of samples that run one at a time is tried at 2 and 3 instead.
    """
    if axis == BATCH and size == 1:
        return 2, 3
    wanted = [size // 2, size * 3 // 4, size - 1, size - 2, size // 4, size - 4, size - 8]
    if is_padded(axis, spec):
        # One below the smallest size a fixed-shape file is made for: it has to be padded.
        wanted.insert(0, spec.sizes_of(axis)[0] - 1)
    return tuple(dict.fromkeys(length for length in wanted if 0 < length < size))


def other_lengths(size: int, spec: ModelSpec, axis: str) -> tuple[int, ...]:
    """Lengths other than `size` at which a file is checked: the requested sizes, then `lengths`."""
    asked = [length for length in spec.sizes.get(axis, ()) if length != size]
    return tuple(dict.fromkeys([*asked, *lengths(size, spec, axis)]))


def with_sizes(spec: ModelSpec, samples: Samples) -> ModelSpec:
    """The spec with a size for every dynamic axis: that of the samples where none is listed."""
    own = {axis: (size,) for axis, size in sizes_of_samples(samples, spec).items()}
    batch = {spec.batch_axis: (1,)} if spec.batch_axis else {}
    return msgspec.structs.replace(spec, sizes={**batch, **own, **spec.sizes})
