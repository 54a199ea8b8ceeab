"""Checks a data set before training: values, outliers, class balance, and duplicates across splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.train.data.dataset import Dataset

# Interquartile ranges beyond the quartiles. Tukey's 3 for "far out" is for bell curves; loud words among silence
# reach 30, a broken sensor or a wrong unit is further out.
FAR = 100.0
SHARE_OF_OUTLIERS = 0.0001
# A class with less than a fifth of the average count is called rare.
RARE = 0.2
_LOOKED_AT = 2_000_000


def check(dataset: Dataset) -> tuple[str, ...]:
    """Warnings about the training split.

    Raises:
        UserError: Values are missing, a split is empty, or an input is in two splits; all problems at once.
    """
    parts = _parts(dataset)
    problems = [problem for name, part in parts.items() for problem in _values(name, part)]
    if not dataset.exhaustive:
        problems += _copies(parts)
    if problems:
        raise UserError(f"Cannot train on the data set '{dataset.source}': " + " ".join(problems))
    return (*_outliers(dataset.train), *_balance(dataset.train))


def without_copies(samples: Samples, *others: Samples) -> Samples:
    """`samples` without those that are also in one of the `others`."""
    dropped = {row for other in others for row in copies(other, samples)}
    return samples.take([row for row in range(len(samples)) if row not in dropped])


def copies(first: Samples, second: Samples) -> list[int]:
    """Rows of `second` whose inputs equal those of a row of `first`."""
    known = set(_keys(first))
    return [row for row, key in enumerate(_keys(second)) if key in known]


def _parts(dataset: Dataset) -> dict[str, Samples]:
    parts = {"train": dataset.train, "test": dataset.test}
    return parts if dataset.validation is None else {**parts, "validation": dataset.validation}


def _values(name: str, part: Samples) -> Iterator[str]:
    if not len(part):
        yield f"Split '{name}' is empty."
    for tensor, array in (part.inputs | part.targets).items():
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            rows = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
            yield f"'{tensor}' of split '{name}' misses values in {rows.sum()} samples, first in {int(rows.argmax())}."


def _copies(parts: dict[str, Samples]) -> Iterator[str]:
    names = list(parts)
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            found = copies(parts[name], parts[other])
            if found:
                yield f"{len(found)} samples of split '{other}' are also in '{name}' (a leak), first {found[0]}."


def _outliers(train: Samples) -> Iterator[str]:
    for name, array in train.inputs.items():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        values = array.reshape(-1)[:: max(1, array.size // _LOOKED_AT)].astype(np.float64)
        low, high = np.quantile(values, (0.25, 0.75))
        far = np.abs(values - np.clip(values, low, high)) > FAR * (high - low)
        if high > low and far.mean() > SHARE_OF_OUTLIERS:
            yield f"{100 * far.mean():.2g} % of the values of '{name}' are extreme outliers."


def _balance(train: Samples) -> Iterator[str]:
    if train.labels is None:
        return
    counts = np.bincount(train.labels)
    for label in np.flatnonzero(counts < RARE * counts.mean()):
        yield f"Class {label} has {counts[label]} of {counts.sum()} training samples."


def _keys(samples: Samples) -> list[bytes]:
    arrays: list[Array] = [samples.inputs[name] for name in sorted(samples.inputs)]
    return [b"".join(np.ascontiguousarray(array[row]).tobytes() for array in arrays) for row in range(len(samples))]
