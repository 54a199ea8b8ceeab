"""Dataset: the samples one model is trained, selected and tested on, and where they came from."""

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

    `validation` chooses among epochs; where it is None the weights of the last epoch are kept, so that the test set
    is looked at once, at the end. `digest` is over the content of all parts. `facts` are values that were fitted on
    the training split alone and belong to the model, such as a vocabulary. An `exhaustive` data set holds every input
    there is, so that its splits are the same.
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
    """Rows (rest, chosen) with `share` of every class chosen, by content: the order of the rows plays no part.

    Equal inputs fall on the same side.

    Args:
        inputs: One sample a row, shape (S, ...).
        labels: One class a row, shape (S,).
    """
    ranks = np.array([hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in inputs])
    chosen = np.zeros(len(ranks), dtype=bool)
    for label in np.unique(labels):
        inside = labels == label
        distinct = np.unique(ranks[inside])
        chosen |= inside & np.isin(ranks, distinct[: round(share * len(distinct))])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def hold_back(samples: Samples, share: float) -> tuple[Samples, Samples]:
    """(rest, held back): a `share` of every class, or of all samples that have none, chosen by content."""
    labels = np.zeros(len(samples), np.int64) if samples.labels is None else samples.labels
    rest, chosen = stratified_rows(next(iter(samples.inputs.values())), labels, share)
    return samples.take(rest), samples.take(chosen)
