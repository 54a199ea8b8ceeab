"""One value per sample: the functions that the rows of metrics name."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.spec.metric import MODEL_METRICS
from edgekit.core.statistics.by_sample import absolute_error, by_sample, correct, fitting, over_all, squared_error

ANSWERS = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)


def test_every_function_that_a_row_names_is_there() -> None:
    found = {name for name in MODEL_METRICS if by_sample(name) is not None}

    assert found == {"accuracy", "mae", "mse"}
    whole = {
        "macro_ap",
        "map50",
        "map",
        "miou",
        "pixel_accuracy",
        "pck",
        "oks_ap",
        "wer",
        "cer",
        "corpus_bleu",
        "perplexity",
    }
    assert {name for name in MODEL_METRICS if over_all(name) is not None} == whole
    assert by_sample("a name without a row") is None


def test_each_sample_has_its_value() -> None:
    targets = np.array([[2.0, 1.0], [0.0, 4.0]])

    assert correct(ANSWERS, np.array([1, 1])).tolist() == [True, False]
    assert absolute_error(ANSWERS, targets).tolist() == [1.5, 2.0]
    assert squared_error(ANSWERS, targets).tolist() == [2.5, 8.0]


@pytest.mark.parametrize(
    ("metric", "classes", "judged"),
    [("mse", True, "accuracy"), ("accuracy", False, "mae"), ("mse", False, "mse"), ("top2", True, "top2")],
)
def test_a_metric_that_does_not_fit_gives_way_to_the_usual_one(metric: str, classes: bool, judged: str) -> None:
    assert fitting(metric, classes=classes) == judged
