"""Labels as people have them: class indices, names, one-hot or multi-hot rows, or the true values of an output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError, nearest
from edgekit.core.samples import LABEL, TARGET, Array

_CLASSES: Final = (LABEL, "labels")


class Labelled(NamedTuple):
    """Class indices (S,), true values (S, ...) of the only output, or marks (S, K); and names of classes, if any.

    `marks` are 1 for each label that a sample has, else 0.
    """

    labels: NDArray[np.int64] | None
    target: Array | None = None
    class_names: tuple[str, ...] = ()
    marks: NDArray[np.uint8] | None = None


class LabelProblem(Exception):
    """Why an array cannot be labels, as a sentence, and what to save in its place."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


def labelled(array: Array, name: str, class_names: Sequence[str] = ()) -> Labelled:
    """What the array called `name` says of each sample.

    Args:
        array: (S,) or (S, 1) class indices or names, (S, K) one-hot or multi-hot rows; floats called `y` or
            `target` are values.
        class_names: The names in index order, if the user gave them; otherwise names are sorted.

    Raises:
        LabelProblem: It is none of them.
    """
    flat = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if flat.dtype.kind in "US":
        return _named(flat.astype(str), name, tuple(class_names))
    if flat.dtype.kind not in "biuf":
        raise LabelProblem(f"'{name}' must contain one class index per sample, got {_kind(array)}.")
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        raise LabelProblem(f"'{name}' contains NaN or infinity, first in sample {_first_bad(flat)}.")
    if flat.ndim == 2 and _is_one_hot(flat):
        return Labelled(flat.argmax(axis=1).astype(np.int64))
    if flat.dtype.kind == "f" and name not in _CLASSES:
        return _true_values(array, flat, name)
    if flat.ndim == 2 and np.isin(flat, (0, 1)).all():
        return _marks(flat, name)
    return Labelled(_indices(array, flat, name))


def _indices(array: Array, flat: Array, name: str) -> NDArray[np.int64]:
    if flat.ndim != 1:
        raise _several(array, name)
    if flat.dtype.kind == "f" and not np.array_equal(flat, np.rint(flat)):
        raise LabelProblem(
            f"'{name}' must contain one class index per sample, got {_kind(array)}.",
            f"numpy.savez(FILE, ..., target={name})",
        )
    if flat.min() < 0:
        raise LabelProblem(
            f"'{name}' contains a negative class index.", f"keep = {name} >= 0, then save {name}[keep] and inputs[keep]"
        )
    return flat.astype(np.int64)


def _true_values(array: Array, flat: Array, name: str) -> Labelled:
    """Floats that are called `y` or `target`: the values that the output should have."""
    if np.isin(flat, (0.0, 1.0)).all():
        raise LabelProblem(
            f"'{name}' contains only 0 and 1 as {array.dtype}: classes, or values of an output?",
            f"numpy.savez(FILE, ..., label={name}.astype(int)) for classes, **{{'{TARGET}OUTPUT': {name}}} for values",
        )
    return Labelled(None, array)


def _marks(array: Array, name: str) -> Labelled:
    """Labels of which a sample has several, or none."""
    if not array.any():
        raise LabelProblem(f"'{name}' contains only 0: no sample has a label.")
    return Labelled(None, marks=array.astype(np.uint8))


def _several(array: Array, name: str) -> LabelProblem:
    hint = f"numpy.savez(FILE, ..., **{{'{TARGET}OUTPUT': {name}}})"
    return LabelProblem(f"'{name}' must contain one class index per sample, got {_kind(array)}.", hint)


def _named(texts: NDArray[np.str_], name: str, class_names: tuple[str, ...]) -> Labelled:
    """Class names: as numbers where they are such, else in the order of `class_names` or of the alphabet."""
    if texts.ndim != 1:
        raise LabelProblem(f"'{name}' must contain one class name per sample, got {_kind(texts)}.")
    names = class_names or tuple(sorted(set(texts.tolist())))
    return Labelled(indices_of(texts.tolist(), names), class_names=names)


def indices_of(texts: Sequence[str], names: Sequence[str]) -> NDArray[np.int64]:
    """The index of each text in `names`.

    Raises:
        UserError: A text is not among them; the nearest is suggested.
    """
    places = {name: index for index, name in enumerate(names)}
    missing = next((text for text in texts if text not in places), None)
    if missing is not None:
        raise UserError(
            f"Class '{missing}' of the samples is not among the {len(names)} class names.{nearest(missing, names)}",
            hint="--labels FILE has one class per line, in the order of the scores of the model.",
        )
    return np.array([places[text] for text in texts], np.int64)


def _is_one_hot(array: Array) -> bool:
    rows = array.astype(np.float64)
    return bool(array.shape[1] > 1 and np.isin(rows, (0.0, 1.0)).all() and (rows.sum(axis=1) == 1.0).all())


def _first_bad(array: Array) -> int:
    return int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(axis=1)))


def _kind(array: Array) -> str:
    return f"{array.dtype} of shape ({', '.join(map(str, array.shape))})"
