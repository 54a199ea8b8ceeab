"""Objects in the outputs of a detector: candidates are decoded, and overlapping ones removed. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.statistics.average_precision import (
    AveragePrecision,
    Detections,
    Objects,
    mean_average_precision,
    overlaps,
)

DETECTION: Final = "detection"
# The array of what is in each sample, (S, M, 6): the corners x1, y1, x2, y2 in pixels of the input, the class, and 1
# for a crowd. A class of -1 fills the rows of samples with fewer objects.
OBJECTS: Final = "objects"
# Average precision is over all scores, and these cannot change it by more than a rounding error.
_FAINT: Final = 0.001
# Candidates of one sample that are compared with each other.
_COMPARED: Final = 1000
_LIMITS: Final = tuple(float(limit) for limit in np.linspace(0.5, 0.95, 10))
_BOX: Final = 4
# A sigmoid is 0 or 1 beyond, and its exponential stays finite.
_LARGEST: Final = 80.0


class FoundObject(NamedTuple):
    """An object with its score from 0 to 1; `box` is x1, y1, x2, y2 in pixels of the input of the model."""

    label: str
    score: float
    box: tuple[float, float, float, float]


def found_objects(outputs: Feed, spec: ModelSpec) -> tuple[FoundObject, ...]:
    """What is found in one sample, best first; errors as in `detections`."""
    return tuple(
        FoundObject(spec.labels[index] if index < len(spec.labels) else str(index), float(score), _edges(box))
        for found in detections(outputs, spec)
        for box, score, index in zip(*found, strict=True)
    )


def _edges(box: NDArray[np.float64]) -> tuple[float, float, float, float]:
    left, top, right, bottom = map(float, box)
    return left, top, right, bottom


def detections(outputs: Feed, spec: ModelSpec, threshold: float | None = None) -> list[Detections]:
    """What is found in each sample: boxes (D, 4) as corners in pixels of the input, scores and classes, best first.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.
        threshold: The least score, if not that of the spec.

    Raises:
        UserError: The outputs have other shapes than the postprocessing of the spec.
    """
    how = _how(spec)
    least = how.threshold if threshold is None else threshold
    return [_kept(boxes, scores, how, least) for boxes, scores in _candidates(outputs, how, input_size(spec))]


def suppressed(boxes: NDArray[Any], scores: NDArray[Any], classes: NDArray[Any], limit: float, most: int) -> list[int]:
    """The rows that stay, best first: those that overlap no better one of the same class by more than `limit`.

    Of equal scores the first is better. Non-maximum suppression, without weights, class by class.

    Args:
        boxes: (D, 4) as corners.
        most: Rows that stay at most.
    """
    order = np.argsort(-scores, kind="stable")[:_COMPARED]
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        shared = overlaps(boxes[best : best + 1], boxes[rest])[0]
        order = rest[(shared <= limit) | (classes[rest] != classes[best])]
    return kept


def objects_of(array: Array) -> list[Objects]:
    """What is in each sample, from an array (S, M, 6) as described at `OBJECTS`."""
    found = []
    for rows in np.asarray(_by_sample(array), np.float64):
        there = rows[rows[:, _BOX] >= 0]
        found.append(Objects(there[:, :_BOX], there[:, _BOX].astype(np.int64), there[:, _BOX + 1] > 0))
    return found


def map50(outputs: Feed, samples: Samples, spec: ModelSpec) -> AveragePrecision:
    """Mean average precision at an overlap of 0.5."""
    return _average_precision(outputs, samples, spec, _LIMITS[:1])


def map_of_all_overlaps(outputs: Feed, samples: Samples, spec: ModelSpec) -> AveragePrecision:
    """Mean average precision over overlaps of 0.5 to 0.95."""
    return _average_precision(outputs, samples, spec, _LIMITS)


def input_size(spec: ModelSpec) -> tuple[int, int]:
    """Height and width of the image that the model takes.

    Raises:
        UserError: Its input is not an image of a fixed size.
    """
    how, shape = spec.preprocessing, spec.inputs[0].shape
    if isinstance(how, ImageInput):
        return how.height, how.width
    sizes = [axis for axis in shape[1:] if isinstance(axis, int)]
    if len(shape) != _BOX or len(sizes) != _BOX - 1:
        raise UserError(f"Boxes are in pixels of an image, but '{spec.inputs[0]}' is not an image of a fixed size.")
    return (sizes[0], sizes[1]) if sizes[2] in (1, 3) and sizes[0] not in (1, 3) else (sizes[1], sizes[2])


def _average_precision(outputs: Feed, samples: Samples, spec: ModelSpec, limits: tuple[float, ...]) -> AveragePrecision:
    found = detections(outputs, spec, _FAINT)
    return mean_average_precision(found, objects_of(samples.targets[OBJECTS]), limits)


def _how(spec: ModelSpec) -> DetectionOutput:
    how = spec.postprocessing
    if not isinstance(how, DetectionOutput):
        raise UserError(f"'{spec.name}' has no description of the boxes in its outputs.")
    return how


def _candidates(
    outputs: Feed, how: DetectionOutput, size: tuple[int, int]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Boxes (A, 4) as corners in pixels, and scores (A, K), of each sample."""
    missing = next((name for name in (how.boxes, how.scores) if name not in outputs), None)
    if missing is not None:
        raise UserError(f"The model has no output '{missing}'; it has {', '.join(outputs)}.")
    boxes, scores = (_by_sample(outputs[name]) for name in (how.boxes, how.scores))
    if how.channels_first:
        boxes, scores = boxes.swapaxes(1, 2), scores.swapaxes(1, 2)
    if how.boxes == how.scores:
        boxes, scores = boxes[..., :_BOX], boxes[..., _BOX:]
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape[-1] != _BOX or not scores.shape[-1]:
        raise UserError(
            f"'{how.boxes}' and '{how.scores}' contain no boxes with scores: {boxes.shape}, {scores.shape}."
        )
    for box, score in zip(boxes, scores, strict=True):
        yield _corners(np.asarray(box, np.float64), how, size), _class_scores(np.asarray(score, np.float64), how)


def _by_sample(array: Array) -> NDArray[Any]:
    """(S, A, K) of an array that may have a batch of 1 for each sample, (S, 1, A, K)."""
    return array.reshape(-1, *array.shape[-2:]) if array.ndim > 3 else array


def _corners(boxes: NDArray[np.float64], how: DetectionOutput, size: tuple[int, int]) -> NDArray[np.float64]:
    if how.corners == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    if how.corners == "cxcywh":
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
    height, width = size
    return boxes * np.array([width, height, width, height]) if how.unit == "share" else boxes


def _class_scores(scores: NDArray[np.float64], how: DetectionOutput) -> NDArray[np.float64]:
    if how.logits and how.background:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    elif how.logits:
        scores = 1 / (1 + np.exp(-np.clip(scores, -_LARGEST, _LARGEST)))
    if how.objectness:
        return scores[:, :1] * scores[:, 1:]
    return scores[:, 1:] if how.background else scores


def _kept(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], how: DetectionOutput, threshold: float
) -> Detections:
    """The best class of each candidate, without what is faint or not finite, and without overlapping ones."""
    classes, best = scores.argmax(axis=1), scores.max(axis=1)
    rows = np.flatnonzero((best >= threshold) & np.isfinite(boxes).all(axis=1))
    chosen = rows[suppressed(boxes[rows], best[rows], classes[rows], how.overlap, how.most)]
    return Detections(boxes[chosen], best[chosen], classes[chosen].astype(np.int64))
