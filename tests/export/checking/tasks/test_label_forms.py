"""One score for two classes, and one for each label: recognized by the labels of samples and the reference outputs."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec import structs
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import BINARY, MULTI_LABEL, LabelsOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.tasks.label_forms import with_label_form
from edgekit.export.checking.tasks.quality import quality_of

COUNT = 40
LOGITS = np.random.default_rng(0).normal(size=COUNT).astype(np.float32)
LABELS = (LOGITS + np.random.default_rng(1).normal(size=COUNT) > 0).astype(np.int64)
INPUTS: dict[str, Array] = {"x": np.zeros((COUNT, 2), np.float32)}
SPEC = ModelSpec(
    "net", "classification", (TensorSpec("x", "float32", ("N", 2)),), (TensorSpec("y", "float32", ("N", 1)),)
)
MARKS = np.stack([LABELS, 1 - LABELS, LABELS], axis=1).astype(np.uint8)
MARKED = structs.replace(SPEC, task=MULTI_LABEL)


def probabilities(logits: NDArray[np.float32]) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


@pytest.mark.parametrize("shape", [(COUNT,), (COUNT, 1), (COUNT, 1, 1)])
@pytest.mark.parametrize("logits", [True, False])
def test_one_score_is_that_of_class_1(shape: tuple[int, ...], logits: bool) -> None:
    scores = (LOGITS if logits else probabilities(LOGITS)).reshape(shape)
    samples = Samples(INPUTS, LABELS, expected={"y": scores})

    found, (note,) = with_label_form(SPEC, samples)

    hits = (LOGITS > 0) == LABELS
    assert (found.task, found.postprocessing) == (BINARY, LabelsOutput("y", logits=logits))
    assert f"accuracy {hits.mean():.3f}, auc {roc_auc_score(LABELS, LOGITS):.3f}" in note
    quality = quality_of("accuracy", {"y": scores}, samples, found)
    assert quality is not None
    assert quality.values is not None
    assert quality.values.tolist() == hits.tolist()


def test_the_score_at_the_threshold_is_class_0() -> None:
    spec = structs.replace(SPEC, task=BINARY, postprocessing=LabelsOutput("y"))
    samples = Samples({"x": INPUTS["x"][:3]}, np.array([0, 0, 1]))

    quality = quality_of("accuracy", {"y": np.array([[0.0], [1e-6], [1e-6]])}, samples, spec)

    assert quality is not None
    assert quality.values is not None
    assert quality.values.tolist() == [True, False, True]


def test_two_scores_and_other_tasks_are_left_alone() -> None:
    two = Samples(INPUTS, LABELS, expected={"y": np.zeros((COUNT, 2), np.float32)})
    one = Samples(INPUTS, LABELS, expected={"y": LOGITS[:, None]})

    assert with_label_form(SPEC, two) == (SPEC, ())
    regression = structs.replace(SPEC, task="regression")
    assert with_label_form(regression, one) == (regression, ())


@pytest.mark.parametrize("logits", [True, False])
def test_the_output_with_a_score_for_each_label_is_found(logits: bool) -> None:
    scores = np.stack([LOGITS, -LOGITS, LOGITS], axis=1)
    outputs = {"features": np.zeros((COUNT, 8), np.float32), "y": scores if logits else probabilities(scores)}
    samples = Samples(INPUTS, targets={MULTI_LABEL: MARKS}, expected=outputs)

    found, (note,) = with_label_form(MARKED, samples)

    assert found.postprocessing == LabelsOutput("y", logits=logits)
    assert "of 3 labels: macro_ap 0." in note


def test_labels_without_a_score_are_refused() -> None:
    samples = Samples(INPUTS, targets={MULTI_LABEL: MARKS}, expected={"y": np.zeros((COUNT, 4), np.float32)})
    with pytest.raises(UserError, match=r"mark 3 labels, and no output of 'net' has a real score.*y float32 \[4\]"):
        with_label_form(MARKED, samples)

    fitting = Samples(INPUTS, targets={MULTI_LABEL: MARKS}, expected={"y": np.zeros((COUNT, 3), np.float32)})
    with pytest.raises(UserError, match="There are 2 class names, and the samples mark 3 labels"):
        with_label_form(structs.replace(MARKED, labels=("a", "b")), fitting)
