"""Running a session over samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.shapes.lengths import sizes_of_samples
from edgekit.runtime.backend import Session

CHUNK: Final = 64
# Of inputs at a time: what a network computes on the way is many times as much.
MAX_INPUT_BYTES: Final = 4 << 20
# The outputs of PyTorch and of every artifact for all samples are held in memory, several times over.
MAX_OUTPUT_BYTES: Final = 256 << 20


def feeds_of(samples: Samples, spec: ModelSpec) -> list[Feed]:
    """The samples as feeds: up to 64 rows and 4 MiB at a time if the batch is dynamic, otherwise single samples.

    Single samples as well if an output has a value per call: it must be that of one sample.
    """
    if spec.batch_axis is None:
        return [{name: array[row] for name, array in samples.inputs.items()} for row in range(len(samples))]
    if not spec.is_splittable:
        return [{name: array[row : row + 1] for name, array in samples.inputs.items()} for row in range(len(samples))]
    row = sum(array.nbytes for array in samples.inputs.values()) // max(len(samples), 1)
    size = min(CHUNK, max(1, MAX_INPUT_BYTES // max(row, 1)))
    starts = range(0, len(samples), size)
    return [{name: array[start : start + size] for name, array in samples.inputs.items()} for start in starts]


def bounded(samples: Samples, spec: ModelSpec, limit: int = MAX_OUTPUT_BYTES) -> Samples:
    """Samples at equal distances, as many as have outputs of at most `limit` bytes in all."""
    sizes = sizes_of_samples(samples, spec) | dict.fromkeys(filter(None, [spec.batch_axis]), 1)
    each = sum(
        np.dtype(output.dtype).itemsize
        * prod(sizes.get(axis, 1) if isinstance(axis, str) else axis for axis in output.shape)
        for output in spec.outputs
    )
    count = min(len(samples), max(1, limit // each)) if each else len(samples)
    return samples if count == len(samples) else samples.take(np.linspace(0, len(samples) - 1, count).astype(np.int64))


def joined(outputs: list[Feed], spec: ModelSpec) -> Feed:
    """The outputs for the feeds of `feeds_of`: one array per output, one row per sample, wherever its batch axis is.

    Outputs whose length depends on the values of the inputs are padded: floats with NaN, integers with their minimum.
    """
    places = {tensor.name: spec.batch_place(tensor) for tensor in spec.outputs}
    unknown = None if spec.batch_axis is None else 0
    return {name: _rows([one[name] for one in outputs], places.get(name, unknown)) for name in outputs[0]}


def _rows(parts: Sequence[Array], place: int | None) -> Array:
    """One row per sample from the outputs of several calls; without a batch axis each call is a sample."""
    parts = _of_one_length(parts, place)
    return np.stack(parts) if place is None else np.moveaxis(np.concatenate(parts, axis=place), place, 0)


def _of_one_length(parts: Sequence[Array], place: int | None) -> Sequence[Array]:
    """The arrays, padded to the longest in every axis but `place`."""
    shapes = {tuple(size for axis, size in enumerate(one.shape) if axis != place) for one in parts}
    if len(shapes) == 1 or len({one.ndim for one in parts}) > 1:
        return parts
    longest = np.array([one.shape for one in parts]).max(axis=0)
    return [np.pad(one, _padding(one, longest, place), constant_values=_nothing(one.dtype)) for one in parts]


def _padding(array: Array, longest: NDArray[np.int64], place: int | None) -> list[tuple[int, int]]:
    return [(0, 0 if axis == place else int(longest[axis]) - size) for axis, size in enumerate(array.shape)]


def _nothing(dtype: np.dtype[Any]) -> Any:
    """The value of a place that an output does not have."""
    if dtype.kind == "f":
        return np.nan
    return np.iinfo(dtype).min if dtype.kind in "iu" else np.zeros((), dtype)


def run_samples(session: Session, spec: ModelSpec, samples: Samples) -> Feed:
    """The session's outputs for every sample: `{name: (S, ...)}`."""
    return joined([session.run(feed) for feed in feeds_of(samples, spec)], spec)
