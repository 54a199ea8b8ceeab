"""Objects in the outputs of a detector: candidates are decoded, and overlapping ones removed. Needs only numpy.

The one implementation: edgekit uses it too. `how` has the fields of its DetectionOutput as a dictionary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

# Candidates of one sample that are compared with each other.
COMPARED = 1000
BOX = 4
# A sigmoid is 0 or 1 beyond, and its exponential stays finite.
LARGEST = 80.0

Found = tuple[Any, Any, Any]


def found_objects(outputs: dict[str, Any], how: dict[str, Any], size: tuple[int, int], least: float) -> Iterator[Found]:
    """What is found in each sample: boxes (D, 4) as corners in pixels, scores (D,) and classes (D,), best first.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.
        size: Height and width of the input.
        least: The lowest score.

    Raises:
        ValueError: The outputs have other shapes than `how` says.
    """
    for boxes, scores in candidates(outputs, how, size):
        yield kept(boxes, scores, how, least)


def suppressed(boxes: Any, scores: Any, classes: Any, limit: float, most: int) -> list[int]:
    """The rows that stay, best first: those that overlap no better one of the same class by more than `limit`.

    Of equal scores the first is better. Non-maximum suppression, without weights, class by class.

    Args:
        boxes: (D, 4) as corners.
        most: Rows that stay at most.
    """
    order = np.argsort(-scores, kind="stable")[:COMPARED]
    stay: list[int] = []
    while len(order) and len(stay) < most:
        best, rest = int(order[0]), order[1:]
        stay.append(best)
        shared = overlaps_with(boxes[best], boxes[rest])
        order = rest[(shared <= limit) | (classes[rest] != classes[best])]
    return stay


def overlaps_with(box: Any, others: Any) -> Any:
    """Intersection over union of one box (4,) with each of (G, 4), shape (G,); 0 where both are empty."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=1)
    whole = areas(box[None]) + areas(others) - shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def areas(boxes: Any) -> Any:
    """The areas of boxes (D, 4)."""
    return np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)


def candidates(outputs: dict[str, Any], how: dict[str, Any], size: tuple[int, int]) -> Iterator[tuple[Any, Any]]:
    """Boxes (A, 4) as corners in pixels, and scores (A, K), of each sample; errors as in `found_objects`."""
    boxes_name, scores_name = how["boxes"], how["scores"]
    missing = next((name for name in (boxes_name, scores_name) if name not in outputs), None)
    if missing is not None:
        raise ValueError(f"The model has no output '{missing}'; it has {', '.join(outputs)}.")
    boxes, scores = by_sample(outputs[boxes_name]), by_sample(outputs[scores_name])
    if how["channels_first"]:
        boxes, scores = boxes.swapaxes(1, 2), scores.swapaxes(1, 2)
    if boxes_name == scores_name:
        boxes, scores = boxes[..., :BOX], boxes[..., BOX:]
    if boxes.ndim != 3 or scores.ndim != 3 or boxes.shape[-1] != BOX or not scores.shape[-1]:
        raise ValueError(
            f"'{boxes_name}' and '{scores_name}' contain no boxes with scores: {boxes.shape}, {scores.shape}."
        )
    if len(boxes) != len(scores):
        raise ValueError(f"'{boxes_name}' has {len(boxes)} samples, and '{scores_name}' {len(scores)}.")
    for box, score in zip(boxes, scores):  # noqa: B905 - `strict` needs Python 3.10
        with np.errstate(invalid="ignore"):  # `kept` leaves out what is not finite
            found = corners(np.asarray(box, np.float64), how, size), class_scores(np.asarray(score, np.float64), how)
        yield found


def by_sample(array: Any) -> Any:
    """(S, A, K) of an array that may have a batch of 1 for each sample, (S, 1, A, K)."""
    return array.reshape(int(np.prod(array.shape[:-2])), *array.shape[-2:]) if array.ndim > 3 else array


def corners(boxes: Any, how: dict[str, Any], size: tuple[int, int]) -> Any:
    """Boxes (A, 4) as x1, y1, x2, y2 in pixels."""
    if how["corners"] == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    if how["corners"] == "cxcywh":
        centre, half = boxes[:, :2], boxes[:, 2:] / 2
        boxes = np.concatenate([centre - half, centre + half], axis=1)
    height, width = size
    return boxes * np.array([width, height, width, height]) if how["unit"] == "share" else boxes


def class_scores(scores: Any, how: dict[str, Any]) -> Any:
    """The scores of classes from 0 to 1, (A, K)."""
    if how["logits"] and how["background"]:
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = powers / powers.sum(axis=1, keepdims=True)
    elif how["logits"]:
        scores = 1 / (1 + np.exp(-np.clip(scores, -LARGEST, LARGEST)))
    if how["objectness"]:
        return scores[:, :1] * scores[:, 1:]
    return scores[:, 1:] if how["background"] else scores


def kept(boxes: Any, scores: Any, how: dict[str, Any], least: float) -> Found:
    """The best class of each candidate, without what is faint or not finite, and without overlapping ones."""
    classes, best = scores.argmax(axis=1), scores.max(axis=1)
    rows = np.flatnonzero((best >= least) & np.isfinite(boxes).all(axis=1))
    chosen = rows[suppressed(boxes[rows], best[rows], classes[rows], how["overlap"], how["most"])]
    return boxes[chosen], best[chosen], classes[chosen].astype(np.int64)
