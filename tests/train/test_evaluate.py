"""The headline of an evaluation is the metric of the model's spec."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.metric import MODEL_METRICS, Metric, MetricTraits
from edgekit.train.evaluate import evaluate
from edgekit.train.model import ReferenceModel

SAMPLES = Samples({"x": np.zeros((8, 4), np.float32)}, np.arange(8) % 2)


def always_first(feed: Feed) -> Feed:
    return {"logits": np.tile(np.array([[1, 0]], np.float32), (len(feed["x"]), 1))}


def judged_by(model: ReferenceModel, metric: str) -> ReferenceModel:
    return dataclasses.replace(model, spec=msgspec.structs.replace(model.spec, metric=Metric(metric)))


@pytest.mark.parametrize("metric", ["accuracy", "mse"])
def test_classes_are_judged_by_accuracy(tiny: ReferenceModel, metric: str) -> None:
    score = evaluate(judged_by(tiny, metric), always_first, SAMPLES)

    assert (score.metric, score.value) == ("accuracy", 0.5)


def test_a_further_metric_with_a_value_per_sample_is_the_headline(
    tiny: ReferenceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = MetricTraits("ratio", True, MODEL_METRICS["accuracy"].by_sample)
    monkeypatch.setitem(MODEL_METRICS, "hits", again)

    score = evaluate(judged_by(tiny, "hits"), always_first, SAMPLES)

    assert (score.metric, score.value, score.estimate.n) == ("hits", 0.5, 8)
    assert score.details["accuracy"].value == 0.5
    assert len(score.confusion) == 2
