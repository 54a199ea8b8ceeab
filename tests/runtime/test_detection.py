"""Candidates of a detector: decoded from each form, and overlapping ones removed as in a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.by_sample import OverAll
from edgekit.runtime.detection import OBJECTS, detections, found_objects, map50, map_of_all_overlaps
from edgekit.runtime.portable.found_objects import suppressed

HEIGHT, WIDTH = 48, 64
BOXES = np.array([[4.0, 8, 20, 30], [5, 9, 21, 31], [40, 10, 60, 40]])
SCORES = np.array([[0.7, 0.1], [0.9, 0.05], [0.2, 0.6]])


def spec(how: DetectionOutput) -> ModelSpec:
    image = TensorSpec("image", "float32", ("N", 3, HEIGHT, WIDTH))
    return ModelSpec("net", "detection", (image,), labels=("cat", "dog"), postprocessing=how)


def logit(scores: Any) -> Any:
    return np.log(scores / (1 - scores))


def softmax_logits(scores: Any) -> Any:
    rest = 1 - scores.sum(axis=1, keepdims=True)
    return np.log(np.concatenate([rest, scores], axis=1)) + 3


SIZES = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
CENTRES = np.concatenate([(BOXES[:, :2] + BOXES[:, 2:]) / 2, BOXES[:, 2:] - BOXES[:, :2]], axis=1)
OBJECT = np.array([[0.8], [0.9], [0.7]])
FORMS = {
    "two outputs": (DetectionOutput("b", "s"), {"b": BOXES, "s": SCORES}),
    "shares": (DetectionOutput("b", "s", unit="share"), {"b": BOXES / SIZES, "s": SCORES}),
    "rows first": (DetectionOutput("b", "s", corners="yxyx"), {"b": BOXES[:, [1, 0, 3, 2]], "s": SCORES}),
    "centres": (DetectionOutput("b", "s", corners="cxcywh"), {"b": CENTRES, "s": SCORES}),
    "channels first": (DetectionOutput("b", "s", channels_first=True), {"b": BOXES.T, "s": SCORES.T}),
    "joined": (DetectionOutput("y", "y"), {"y": np.concatenate([BOXES, SCORES], axis=1)}),
    "joined, channels first": (
        DetectionOutput("y", "y", channels_first=True),
        {"y": np.concatenate([BOXES, SCORES], axis=1).T},
    ),
    "logits": (DetectionOutput("b", "s", logits=True), {"b": BOXES, "s": logit(SCORES)}),
    "objectness": (
        DetectionOutput("y", "y", objectness=True),
        {"y": np.concatenate([BOXES, OBJECT, SCORES / OBJECT], axis=1)},
    ),
    "background": (
        DetectionOutput("b", "s", background=True, logits=True),
        {"b": BOXES, "s": softmax_logits(SCORES)},
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("is_single", [False, True], ids=["batch", "batches of one"])
def test_every_form_gives_the_same_objects(form: str, is_single: bool) -> None:
    how, arrays = FORMS[form]
    outputs: Feed = {name: np.stack([array, array]).astype(np.float32) for name, array in arrays.items()}
    outputs = {name: array[:, None] for name, array in outputs.items()} if is_single else outputs

    found = detections(outputs, spec(how))

    assert len(found) == 2
    for one in found:
        np.testing.assert_allclose(one.boxes, BOXES[[1, 2]], atol=1e-4)
        np.testing.assert_allclose(one.scores, [0.9, 0.6], atol=1e-5)
        assert one.classes.tolist() == [0, 1]


def test_objects_have_the_names_of_their_classes() -> None:
    how, arrays = FORMS["two outputs"]
    first, second = found_objects({name: array[None] for name, array in arrays.items()}, spec(how))

    assert (first.label, first.score, first.box) == ("cat", 0.9, (5.0, 9.0, 21.0, 31.0))
    assert second.label == "dog"


def plain(boxes: Any, scores: Any, classes: Any, limit: float, most: int) -> list[int]:
    """The reference implementation: every pair, one after the other."""
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row)):
        if len(kept) < most and all(
            classes[row] != classes[other] or overlap(boxes[row], boxes[other]) <= limit for other in kept
        ):
            kept.append(row)
    return kept


def overlap(one: Any, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    whole = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)) - shared
    return float(shared / whole) if whole > 0 else 0.0


@pytest.mark.parametrize("limit", [0.3, 0.5])
def test_what_stays_is_what_a_plain_loop_keeps_ties_included(limit: float) -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        count = int(rng.integers(0, 30))
        low = rng.integers(0, 10, (count, 2)).astype(np.float64)
        boxes = np.concatenate([low, low + rng.integers(0, 8, (count, 2))], axis=1)
        scores, classes = rng.integers(0, 5, count) / 5, rng.integers(0, 3, count)

        assert suppressed(boxes, scores, classes, limit, 10) == plain(boxes, scores, classes, limit, 10)


def test_what_is_not_finite_is_no_object() -> None:
    how, arrays = FORMS["two outputs"]
    broken = np.array(arrays["b"])
    broken[1, 0], broken[2, 3] = np.nan, np.inf
    scores = np.array(arrays["s"])
    scores[0] = np.nan

    assert found_objects({"b": broken[None], "s": scores[None]}, spec(how)) == ()


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_warns_of_nothing(value: float) -> None:
    # Warnings of NumPy were printed between the objects.
    how = DetectionOutput("b", "s", corners="cxcywh", logits=True, background=True)
    outputs = {"b": np.full((1, 3, 4), value), "s": np.full((1, 3, 4), value)}

    assert found_objects(outputs, spec(how)) == ()


@pytest.mark.parametrize("precision", [map50, map_of_all_overlaps])
def test_average_precision_counts_faint_objects_too(precision: OverAll) -> None:
    how, arrays = FORMS["two outputs"]
    outputs = {"b": arrays["b"][None], "s": arrays["s"][None] / 100}
    true = np.array([[[*BOXES[1], 0, 0], [*BOXES[2], 1, 0], [0, 0, 0, 0, -1, 0]]], np.float32)
    samples = Samples({"image": np.zeros((1, 3, HEIGHT, WIDTH), np.float32)}, targets={OBJECTS: true})

    assert precision(outputs, samples, spec(how))(np.arange(1)) == pytest.approx(1.0)
    assert found_objects(outputs, spec(how)) == ()


@pytest.mark.parametrize(
    ("how", "message"),
    [(DetectionOutput("b", "other"), "no output 'other'"), (DetectionOutput("s", "b"), "no boxes with scores")],
    ids=["a name that is not there", "boxes of two numbers"],
)
def test_outputs_that_do_not_fit_are_named(how: DetectionOutput, message: str) -> None:
    outputs = {name: array[None] for name, array in FORMS["two outputs"][1].items()}

    with pytest.raises(UserError, match=message):
        detections(outputs, spec(how))
