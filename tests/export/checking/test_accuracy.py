"""Accuracy is measured on labels or targets, and its drop is paired by sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.accuracy import measure_accuracy, refuse_unfitting

Make = Callable[..., Any]

SPEC = ModelSpec(
    "net", "classification", (TensorSpec("x", "float32", ("N", 3)),), (TensorSpec("y", "float32", ("N", 3)),)
)
SCORES = np.eye(3, dtype=np.float32)[np.arange(100) % 3]
LABELS = np.arange(100) % 3


def echo(feed: Feed) -> Feed:
    return {"y": feed["x"]}


def test_classes_are_counted_and_paired(session: Make, artifact: Make) -> None:
    artifact_scores = SCORES.copy()
    artifact_scores[:4] = artifact_scores[:4, [1, 2, 0]]
    given = Samples({"x": artifact_scores}, labels=LABELS, expected={"y": SCORES})

    found = measure_accuracy(session(echo), artifact("int8"), SPEC, given, "here")

    assert (found.metric, found.quality.value, found.reference.value) == ("accuracy", 0.96, 1.0)
    assert found.drop.value == pytest.approx(0.04)
    assert found.drop.low is not None
    assert found.drop.high is not None
    assert 0.0 < found.drop.low < 0.04 < found.drop.high < 0.12
    assert found.detectable is not None
    assert found.drop.n == 100


@pytest.mark.parametrize(("metric", "expected"), [(None, 0.5), ("mae", 0.5), ("mse", 0.25)])
def test_targets_give_an_error(metric: str | None, expected: float, session: Make, artifact: Make) -> None:
    spec = ModelSpec("net", "regression", SPEC.inputs, SPEC.outputs, metric=Metric(metric) if metric else None)
    given = Samples({"x": SCORES}, targets={"y": SCORES + 0.5}, expected={"y": SCORES + 0.5})

    found = measure_accuracy(session(echo), artifact(), spec, given, "here")

    assert found.metric == (metric or "mae")
    assert found.quality.value == pytest.approx(expected)
    assert found.reference.value == 0.0
    assert found.drop.value == pytest.approx(expected)


def test_without_labels_the_value_is_null_with_its_reason(session: Make, artifact: Make) -> None:
    given = Samples({"x": SCORES}, expected={"y": SCORES})

    found = measure_accuracy(session(echo), artifact(), SPEC, given, "here")

    assert (found.quality.value, found.quality.reason) == (None, "the samples have no labels")
    assert (found.reference.value, found.drop.value) == (None, None)


def test_one_target_is_too_few_for_an_interval(session: Make, artifact: Make) -> None:
    given = Samples({"x": SCORES[:1]}, targets={"y": SCORES[:1]}, expected={"y": SCORES[:1]})

    found = measure_accuracy(session(echo), artifact(), SPEC, given, "here")

    assert found.quality.reason == "an interval needs at least 2 samples"


def test_a_metric_of_all_samples_together_has_no_drop_by_sample(session: Make, artifact: Make) -> None:
    spec = ModelSpec("net", "anomaly detection", SPEC.inputs, SPEC.outputs, metric=Metric("auc"))
    given = Samples({"x": SCORES}, labels=LABELS, expected={"y": SCORES})

    found = measure_accuracy(session(echo), artifact(), spec, given, "here")

    assert (found.metric, found.quality.value) == ("auc", None)
    assert "all samples together" in found.quality.reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (Samples({"x": SCORES}, labels=LABELS + 1), r"'label' contains class 3; output 'y' has 3 scores"),
        (Samples({"x": SCORES}, targets={"z": SCORES}), r"'target:z' is not an output of the model"),
        (
            Samples({"x": SCORES}, targets={"y": SCORES[:, 0]}),
            r"'target:y' has shape \(\) per sample, the output \(3,\)",
        ),
    ],
    ids=["class", "name", "shape"],
)
def test_what_no_answer_can_be_held_against_is_refused(given: Samples, message: str) -> None:
    with pytest.raises(UserError, match=message):
        refuse_unfitting(SPEC, given.with_expected({"y": SCORES}))


def test_labels_and_targets_that_fit_are_taken() -> None:
    refuse_unfitting(SPEC, Samples({"x": SCORES}, LABELS, {"y": SCORES}, {"y": SCORES}))


def test_labels_that_count_from_1_are_recognized() -> None:
    with pytest.raises(UserError, match="contains class 3") as caught:
        refuse_unfitting(SPEC, Samples({"x": SCORES}, LABELS + 1, expected={"y": SCORES}))

    assert caught.value.hint == "numpy.savez(FILE, ..., label=label - 1)"


def test_class_names_of_the_samples_must_be_those_of_the_scores() -> None:
    named = structs.replace(SPEC, labels=("cat", "dog"))
    given = Samples({"x": SCORES}, LABELS % 2, expected={"y": SCORES})

    with pytest.raises(UserError, match="There are 2 class names, but output 'y' has 3 scores") as caught:
        refuse_unfitting(named, given)

    assert caught.value.hint.startswith("--labels FILE")
    refuse_unfitting(SPEC, given)


def test_a_metric_of_all_samples_together_has_an_interval_and_a_paired_drop(session: Make, artifact: Make) -> None:
    """Of 40 images with one object each, the artifact misses four."""
    image, boxes, scores = (TensorSpec(name, "float32", ("N", 3, 8, 8)) for name in ("image", "b", "s"))
    spec = ModelSpec(
        "net", "detection", (image,), (boxes, scores), labels=("cat",), metric=Metric("map50"),
        postprocessing=DetectionOutput("b", "s"),
    )  # fmt: skip
    box = np.tile(np.array([1, 1, 5, 5], np.float32), (40, 1, 1))
    seen = np.ones((40, 1, 1), np.float32)
    missed = np.where(np.arange(40)[:, None, None] % 10 == 0, 0, seen).astype(np.float32)
    objects = np.concatenate([box, np.zeros((40, 1, 2), np.float32)], axis=2)
    images = np.zeros((40, 3, 8, 8), np.float32)
    given = Samples({"image": images}, targets={"objects": objects}, expected={"b": box, "s": seen})

    found = measure_accuracy(session(lambda _: {"b": box, "s": missed}), artifact("int8"), spec, given, "here")

    # The 101 recalls from 0 to 1 in steps of 0.01, of which those up to 0.9 are reached.
    assert (found.metric, found.reference.value) == ("map50", 1.0)
    assert found.quality.value == pytest.approx(91 / 101)
    assert found.drop.value == pytest.approx(10 / 101)
    assert found.drop.low is not None
    assert found.drop.high is not None
    assert 0 <= found.drop.low < 0.05 < found.drop.high < 0.25
    assert found.detectable is not None
