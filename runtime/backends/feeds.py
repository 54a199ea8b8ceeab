"""Checks a caller's feed against the inputs of an artifact, and reports all problems at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from edgekit.core.errors import UserError, nearest
from edgekit.core.spec.tensor_spec import TensorSpec

Tie = tuple[str, int, str, int]
"""Two places that must have the same size: input, axis, other input, other axis."""


def ties(inputs: Iterable[TensorSpec]) -> tuple[Tie, ...]:
    """Every pair of places that share a dynamic axis; backends do not check these but broadcast."""
    places = defaultdict(list)
    for tensor in inputs:
        for position, axis in enumerate(tensor.shape):
            if isinstance(axis, str):
                places[axis].append((tensor.name, position))
    return tuple((*first, *second) for found in places.values() for first, second in pairwise(found))


def check_feed(
    feed: Mapping[str, object], inputs: Sequence[TensorSpec], also: Mapping[str, tuple[str, ...]] | None = None
) -> None:
    """Check that `feed` has the names, shapes and dtypes of `inputs`.

    Args:
        also: Further dtypes that an input accepts, by name.

    Raises:
        UserError: All problems at once.
    """
    problems = [*_name_problems(feed, inputs)]
    arrays = {tensor.name: feed[tensor.name] for tensor in inputs if tensor.name in feed}
    for tensor in inputs:
        if tensor.name in arrays:
            problems += _array_problems(arrays[tensor.name], tensor, (also or {}).get(tensor.name, ()))
    if not problems:
        problems += _tie_problems(feed, inputs)
    if problems:
        listing = "".join(f"\n  {problem}" for problem in problems)
        wanted = ", ".join(map(str, inputs))
        raise UserError(f"The feed does not fit the model:{listing}", hint=f"The model takes {wanted}.")


def _name_problems(feed: Mapping[str, object], inputs: Sequence[TensorSpec]) -> Iterator[str]:
    names = [tensor.name for tensor in inputs]
    for name in names:
        if name not in feed:
            yield f"'{name}' is missing.{nearest(name, [given for given in feed if given not in names])}"
    for name in feed:
        if name not in names:
            yield f"'{name}' is not an input of the model.{nearest(str(name), names)}"


def _array_problems(value: object, tensor: TensorSpec, also: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, np.ndarray):
        yield f"'{tensor.name}' is of type {type(value).__name__}, expected a numpy array."
        return
    fits = len(value.shape) == len(tensor.shape) and all(
        isinstance(want, str) or want == size for want, size in zip(tensor.shape, value.shape, strict=True)
    )
    if not fits:
        yield f"'{tensor.name}' has shape {_text(value.shape)}, expected {_text(tensor.shape)}."
    if not value.dtype.isnative or _dtype_name(value) not in (tensor.dtype, *also):
        yield f"'{tensor.name}' has dtype {_dtype_text(value.dtype)}, expected {' or '.join((tensor.dtype, *also))}."


def _dtype_name(value: np.ndarray[Any, Any]) -> str:
    """Its name in a spec: text of any length is `str`."""
    return "str" if value.dtype.kind == "U" else value.dtype.name


def _tie_problems(feed: Mapping[str, object], inputs: Sequence[TensorSpec]) -> Iterator[str]:
    axes = {(tensor.name, place): axis for tensor in inputs for place, axis in enumerate(tensor.shape)}
    for name, place, other, other_place in ties(inputs):
        size, other_size = np.asarray(feed[name]).shape[place], np.asarray(feed[other]).shape[other_place]
        if size != other_size:
            yield f"Axis {axes[name, place]} is {size} in '{name}' and {other_size} in '{other}'."


def _dtype_text(dtype: np.dtype[np.generic]) -> str:
    return dtype.name if dtype.isnative else f"{dtype.name} in non-native byte order"


def _text(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
