"""What the values of an input mean: inputs that edgekit makes up must be inputs that the network can be given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec

# Additive masks forbid a position by a value from here down, most often the lowest of the dtype.
_FORBIDDEN: Final = -1e3


def masks(samples: Samples, spec: ModelSpec) -> frozenset[str]:
    """Names of the inputs that mark positions: by their name, or because samples have nothing but marks.

    Marks are booleans, floats that are 0 or 1, and floats that are 0 or below -1000.
    """
    return frozenset(one.name for one in spec.inputs if "mask" in one.name.lower() or _marks(samples.inputs[one.name]))


def ids(spec: ModelSpec) -> frozenset[str]:
    """Names of the inputs whose integers name something, such as tokens, of which one may mean padding.

    Small integers, as of pictures, are amounts, and so are those with a declared range.
    """
    return frozenset(
        one.name for one in spec.inputs if one.dtype in ("int32", "int64") and (one.low is None or one.high is None)
    )


def _marks(array: Array) -> bool:
    if array.dtype.kind == "b":
        return True
    if array.dtype.kind != "f" or not array.size:
        return False
    others = array[array != 0]
    return bool(0 < others.size < array.size and (np.all(others == 1) or np.all(others <= _FORBIDDEN)))


def with_both_marks(feed: Feed, whole: Feed, names: Iterable[str]) -> Feed:
    """`feed`, cut from `whole`, with a position of each kind in every row of a mask that had both before the cut.

    Rows along the last axis whose positions are all masked have no defined output; which value masks is not known
    here, so the last position gets the other one.
    """
    return feed | {name: _mixed(feed[name], whole[name]) for name in names}


def _mixed(cut: Array, whole: Array) -> Array:
    if cut.ndim < 1 or whole.ndim != cut.ndim or cut.shape[-1] < 2 or cut.shape == whole.shape:
        return cut
    rows = whole[tuple(slice(0, size) for size in cut.shape[:-1])]
    low, high = rows.min(axis=-1), rows.max(axis=-1)
    constant = (cut == cut[..., :1]).all(axis=-1) & (low != high)
    mixed = cut.copy()
    mixed[..., -1] = np.where(constant, np.where(cut[..., 0] == low, high, low), cut[..., -1])
    return mixed
