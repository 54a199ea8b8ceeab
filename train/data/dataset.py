"""Dataset: the samples for training, validating and testing a model, and where they come from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array, Samples

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Three sets of samples that never overlap.

    `validation` selects the best epoch; if it is None, the weights of the last epoch are kept, so that the test set is
    used only once, at the end. `digest` is the sha256 over all splits. `facts` are values that were fitted on the
    training split alone and belong to the model, e.g. a vocabulary. An `exhaustive` data set contains every possible
    input, so its splits are the same.
    """

    train: Samples
    test: Samples
    source: str
    digest: str
    licence: str = ""
    validation: Samples | None = None
    facts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    exhaustive: bool = False


def dataset(
    train: Samples,
    test: Samples,
    *,
    source: str,
    licence: str = "",
    validation: Samples | None = None,
    facts: dict[str, tuple[str, ...]] | None = None,
    exhaustive: bool = False,
) -> Dataset:
    """A data set with its digest."""
    parts = [train, test] if validation is None else [train, validation, test]
    whole = hashlib.sha256("".join(part.digest() for part in parts).encode())
    return Dataset(train, test, source, whole.hexdigest(), licence, validation, facts or {}, exhaustive)


def stratified_rows(inputs: Array, labels: Array, share: float) -> tuple[Rows, Rows]:
    """Rows (rest, chosen) with `share` of every class chosen by content, so that the order of the rows does not matter.

    Equal inputs are on the same side.

    Args:
        inputs: One sample per row, shape (S, ...).
        labels: One class per row, shape (S,).
    """
    ranks = np.array([hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in inputs])
    chosen = np.zeros(len(ranks), dtype=bool)
    for label in np.unique(labels):
        inside = labels == label
        distinct = np.unique(ranks[inside])
        chosen |= inside & np.isin(ranks, distinct[: round(share * len(distinct))])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def hold_back(samples: Samples, share: float) -> tuple[Samples, Samples]:
    """(rest, held back): a `share` of every class, or of all samples without labels, chosen by content."""
    labels = np.zeros(len(samples), np.int64) if samples.labels is None else samples.labels
    rest, chosen = stratified_rows(next(iter(samples.inputs.values())), labels, share)
    return samples.take(rest), samples.take(chosen)
