"""Samples of a model whose inputs do not share their first axis: each is a feed of its own, with a batch of 1."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import TARGET, Array, Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import BATCH


def one_at_a_time(arrays: Feed, spec: ModelSpec) -> Feed:
    """Arrays (S, ...) of single samples from those whose batch is the axis `N`, wherever it is.

    An input without `N` is the same in every sample. Arrays that have an axis more than their input stay as they are,
    and so does everything of a model with a common batch, or of samples that do not fit.
    """
    batched = {one.name: one.shape.index(BATCH) for one in spec.inputs if one.shape.count(BATCH) == 1}
    whole = [one.name for one in spec.inputs if one.name in arrays and arrays[one.name].ndim == len(one.shape)]
    counts = {arrays[name].shape[place] for name, place in batched.items() if name in whole}
    if spec.batch_axis is not None or len(counts) != 1:
        return arrays
    count = counts.pop()
    cut = {name: _cut(arrays[name], batched.get(name), count) for name in whole}
    targets = {name: array[:, None] for name, array in arrays.items() if name.startswith(TARGET)}
    return {**arrays, **targets, **cut}


def _cut(array: Array, place: int | None, count: int) -> Array:
    if place is None:
        return np.broadcast_to(array, (count, *array.shape))
    return np.expand_dims(np.moveaxis(array, place, 0), place + 1)
