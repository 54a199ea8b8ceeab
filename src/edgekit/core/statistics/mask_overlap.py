"""How well masks agree: the overlap of each class over all samples (Jaccard 1912), and the share of equal places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.statistics.bootstrap import Rows

# The class of places that count neither for nor against.
IGNORED: Final = 255
Mask = NDArray[np.integer]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class MaskCounts:
    """Places of S masks by class, each (S, K): `true` in the truth, `found` in the predictions, `hits` in both."""

    hits: Counts
    true: Counts
    found: Counts

    def mean_overlap(self, rows: Rows) -> float:
        """Intersection over union of these samples together, its mean over the classes that occur; 0 without any.

        A class occurs if it is in the truth or in a prediction.
        """
        hits, true, found = self._sums(rows)
        union = true + found - hits
        present = union > 0
        return float(np.mean(hits[present] / union[present])) if present.any() else 0.0

    def share_of_hits(self, rows: Rows) -> float:
        """The share of places with the right class; 0 if all are ignored."""
        hits, true, _ = self._sums(rows)
        return float(hits.sum() / max(1, true.sum()))

    def _sums(self, rows: Rows) -> tuple[Counts, Counts, Counts]:
        weights = np.bincount(rows, minlength=len(self.hits))
        hits, true, found = (weights @ counts for counts in (self.hits, self.true, self.found))
        return hits, true, found


def mask_counts(found: Sequence[Mask], true: Sequence[Mask], classes: int) -> MaskCounts:
    """The counts of each sample; places whose truth is `IGNORED` are left out.

    Args:
        found: Class indices of each sample, (H, W).
        true: For each sample, in the same order and of the same shapes.
        classes: K; no index is as large, except `IGNORED` in the truth.
    """
    counts = np.zeros((3, len(true), classes), np.int64)
    for row, (predicted, truth) in enumerate(zip(found, true, strict=True)):
        kept = truth != IGNORED
        here, there = predicted[kept].astype(np.int64), truth[kept].astype(np.int64)
        for place, values in enumerate((there[here == there], there, here)):
            counts[place, row] = np.bincount(values, minlength=classes)
    return MaskCounts(*counts)
