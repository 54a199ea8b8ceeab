from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from edgekit.train.metrics import auc, bootstrap, classification, regression

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 300)
PREDICTED = np.where(RANDOM.random(300) < 0.7, LABELS, RANDOM.integers(0, 3, 300))


def test_classification_agrees_with_scikit_learn() -> None:
    score = classification(LABELS, PREDICTED, 3)

    assert score.value == pytest.approx((LABELS == PREDICTED).mean())
    for name, metric in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert score.details[name].value == pytest.approx(metric(LABELS, PREDICTED, average="macro"))
    assert sum(map(sum, score.confusion)) == 300


def test_auc_agrees_with_scikit_learn_with_ties() -> None:
    values = np.round(RANDOM.random(300), 1)

    assert auc(LABELS == 1, values) == pytest.approx(roc_auc_score(LABELS == 1, values))


def test_intervals_cover_the_value() -> None:
    details = regression(RANDOM.standard_normal((100, 4)), RANDOM.standard_normal((100, 4)))

    for estimate in details.values():
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.value is not None
        assert estimate.low < estimate.value < estimate.high


def test_blocks_widen_the_interval_of_a_slow_series() -> None:
    series = np.cumsum(RANDOM.standard_normal(500)) / 10

    plain, blocks = (bootstrap(500, lambda rows: float(series[rows].mean()), block=block) for block in (1, 50))

    assert plain.high is not None
    assert plain.low is not None
    assert blocks.high is not None
    assert blocks.low is not None
    assert blocks.high - blocks.low > 2 * (plain.high - plain.low)
