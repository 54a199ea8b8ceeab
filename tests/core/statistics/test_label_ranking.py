"""How well scores rank samples: the figures of scikit-learn, of any choice of samples, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL, LabelsOutput
from edgekit.core.statistics.label_ranking import label_ranking, macro_ap, roc_auc

Floats = NDArray[np.float64]
READ = ModelSpec("net", MULTI_LABEL, (), postprocessing=LabelsOutput("y"))


def drawn(seed: int) -> tuple[Floats, NDArray[np.uint8]]:
    """Scores and marks (S, K); in half of the cases scores have the few steps of int8, so that many are equal."""
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(2, 60)), int(rng.integers(1, 9))
    marks = (rng.random(shape) < rng.uniform(0, 0.6, shape[1])).astype(np.uint8)
    scores = rng.normal(size=shape) + marks
    return np.round(2 * scores) if seed % 2 else scores, marks


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_the_average_precision_of_labels_is_that_of_scikit_learn(first: int) -> None:
    for seed in range(first, first + 50):
        scores, marks = drawn(seed)
        rows = np.random.default_rng(seed).integers(0, len(marks), len(marks))
        present = marks[rows].any(axis=0)
        if not present.any():
            continue

        found = label_ranking(scores, marks).mean_average_precision(rows)

        expected = average_precision_score(marks[rows][:, present], scores[rows][:, present], average="macro")
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_the_area_under_the_curve_is_that_of_scikit_learn(first: int) -> None:
    for seed in range(first, first + 50):
        scores, marks = drawn(seed)
        truth = marks[:, 0]
        if 0 < truth.sum() < len(truth):
            assert roc_auc(scores[:, 0], truth) == pytest.approx(roc_auc_score(truth, scores[:, 0]), abs=1e-6)


def test_one_kind_of_sample_ranks_nothing() -> None:
    assert roc_auc(np.array([0.1, 0.9]), np.array([1, 1])) is None
    assert label_ranking(np.ones((2, 3)), np.zeros((2, 3))).mean_average_precision(np.array([0, 1])) == 0


def test_labels_of_another_shape_are_refused() -> None:
    marks = np.ones((4, 3), np.uint8)
    samples = Samples({"x": np.zeros((4, 2))}, targets={MULTI_LABEL: marks})

    assert macro_ap({"y": np.zeros((4, 1, 3))}, samples, READ)(np.arange(4)) == 1
    with pytest.raises(UserError, match=r"Output 'y' has the shape \(4, 2\), the labels have \(4, 3\)"):
        macro_ap({"y": np.zeros((4, 2))}, samples, READ)
    with pytest.raises(UserError, match="no description of the labels"):
        macro_ap({"z": np.zeros((4, 3))}, samples, READ)
    with pytest.raises(UserError, match="have no 'multi-label'"):
        macro_ap({"y": np.zeros((4, 3))}, Samples(samples.inputs), READ)
