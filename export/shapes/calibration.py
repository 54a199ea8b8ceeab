"""Calibration feeds: rows of the calibration samples, at every size that a file supports."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.shapes.lengths import LENGTHS, other_lengths, sizes_of_samples

# More rows at once take more memory than the whole converter: 16 images of 96 x 96 added 300 MB.
_BATCH: Final = 4


def feeds_at_lengths(samples: Samples, spec: ModelSpec, takes: Callable[[Feed], bool]) -> Iterator[Feed]:
    """`feeds` at the samples' own length, and again at every other length at which the file is checked.

    A mean over few steps varies more than one over many: ranges read at one length are too narrow at another.

    Args:
        takes: Whether the file runs on a feed; lengths that it does not accept are left out.
    """
    yield from feeds(samples, spec)
    own = sizes_of_samples(samples, spec)
    for axis, size in own.items():
        others = (length for length in other_lengths(size, spec, axis) if takes(_first(samples, spec, axis, length)))
        for length in itertools.islice(others, LENGTHS + len(spec.sizes_of(axis))):
            yield from ({**feed, **_cut(feed, spec, axis, length)} for feed in feeds(samples, spec))


def _first(samples: Samples, spec: ModelSpec, axis: str, length: int) -> Feed:
    feed = next(feeds(samples, spec))
    return {**feed, **_cut(feed, spec, axis, length)}


def _cut(feed: Feed, spec: ModelSpec, axis: str, length: int) -> Feed:
    """The inputs with this axis, at this length."""
    return {
        tensor.name: np.take(array, np.arange(length) % array.shape[index], axis=index)
        for tensor in spec.inputs
        if axis in tensor.shape
        for index, array in [(tensor.shape.index(axis), feed[tensor.name])]
    }


def feeds(samples: Samples, spec: ModelSpec) -> Iterator[Feed]:
    """The samples as feeds for a file with dynamic axes: 4 rows at a time, or one if the batch is fixed."""
    if spec.batch_axis is None:
        yield from ({name: array[row] for name, array in samples.inputs.items()} for row in range(len(samples)))
        return
    for start in range(0, len(samples), _BATCH):
        yield {name: array[start : start + _BATCH] for name, array in samples.inputs.items()}


def feeds_of_sizes(samples: Samples, spec: ModelSpec, sizes: Mapping[str, int]) -> Iterator[Feed]:
    """The samples as feeds of exactly `sizes`; the last batch is filled up with the first rows."""
    if spec.batch_axis is None:
        for row in range(len(samples)):
            yield {tensor.name: fitted(samples.inputs[tensor.name][row], tensor, sizes) for tensor in spec.inputs}
        return
    batch = sizes[spec.batch_axis]
    for start in range(0, len(samples), batch):
        rows = np.arange(start, start + batch) % len(samples)
        yield {tensor.name: fitted(samples.inputs[tensor.name][rows], tensor, sizes) for tensor in spec.inputs}


def fitted(array: Array, tensor: TensorSpec, sizes: Mapping[str, int]) -> Array:
    """The array cut to the sizes of its dynamic axes, and repeated along those where it is too short."""
    for index, axis in enumerate(tensor.shape):
        if isinstance(axis, str) and array.shape[index] != sizes[axis]:
            array = np.take(array, np.arange(sizes[axis]) % array.shape[index], axis=index)
    return array


def trace_feed(samples: Samples, spec: ModelSpec) -> Feed:
    """A real feed of at least two rows and two steps: tracing at size 1 would fix the axis."""
    sizes = {axis: max(2, size) for axis, size in sizes_of_samples(samples, spec).items()}
    if spec.batch_axis:
        sizes[spec.batch_axis] = 2 if 2 not in sizes.values() else 3
    arrays = {name: array if spec.batch_axis else array[0] for name, array in samples.inputs.items()}
    return {tensor.name: fitted(arrays[tensor.name], tensor, sizes) for tensor in spec.inputs}
