"""The overlap of masks: the figures of scikit-learn, of any choice of samples."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, jaccard_score

from edgekit.core.statistics.mask_overlap import IGNORED, mask_counts

Masks = NDArray[np.int64]


def drawn(seed: int) -> tuple[Masks, Masks, int]:
    """Answers and truths (S, H, W) of up to 12 classes, of which some occur nowhere and some places are ignored."""
    rng = np.random.default_rng(seed)
    classes = int(rng.integers(2, 13))
    shape = tuple(map(int, rng.integers(1, 9, 3)))
    occurring = rng.choice(classes, rng.integers(1, classes + 1), replace=False)
    true = rng.choice(occurring, shape)
    found = np.where(rng.random(shape) < 0.7, true, rng.choice(occurring, shape))
    return found, np.where(rng.random(shape) < rng.choice([0.0, 0.2]), IGNORED, true), classes


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_the_overlap_is_that_of_scikit_learn(first: int) -> None:
    for seed in range(first, first + 50):
        found, true, classes = drawn(seed)
        rows = np.random.default_rng(seed).integers(0, len(true), len(true))
        kept = true[rows] != IGNORED
        if not kept.any():
            continue
        answers, truths = found[rows][kept], true[rows][kept]
        counts = mask_counts(list(found), list(true), classes)

        expected = jaccard_score(truths, answers, average="macro", labels=np.union1d(truths, answers))

        assert counts.mean_overlap(rows) == pytest.approx(expected, abs=1e-6)
        assert counts.share_of_hits(rows) == pytest.approx(accuracy_score(truths, answers), abs=1e-6)


def test_masks_of_ignored_places_have_no_overlap() -> None:
    counts = mask_counts([np.zeros((2, 2), np.int64)], [np.full((2, 2), IGNORED)], 3)

    assert counts.mean_overlap(np.array([0])) == 0
    assert counts.share_of_hits(np.array([0])) == 0
