"""Mean average precision, compared with pycocotools on random scenes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgekit.core.statistics.average_precision import Detections, Objects, mean_average_precision, overlaps

CLASSES = 4
LIMITS = tuple(np.linspace(0.5, 0.95, 10))
Scene = tuple[list[Detections], list[Objects]]


def scene(seed: int) -> Scene:
    """Images with objects, detections near some of them and elsewhere, crowds, equal scores and equal boxes."""
    rng = np.random.default_rng(seed)
    found, true = [], []
    for _ in range(int(rng.integers(1, 6))):
        count = int(rng.integers(0, 7))
        boxes = random_boxes(rng, count)
        true.append(Objects(boxes, rng.integers(0, CLASSES, count), rng.random(count) < 0.2))
        near = boxes[rng.integers(0, count, 2 * count)] if count else boxes
        near = near + rng.choice([0.0, 1.0, 3.0], (len(near), 1))
        boxes = np.concatenate([near, random_boxes(rng, int(rng.integers(0, 5)))])
        scores = rng.integers(0, 8, len(boxes)) / 8
        found.append(Detections(boxes, scores, rng.integers(0, CLASSES, len(boxes))))
    return found, true


def random_boxes(rng: np.random.Generator, count: int) -> Any:
    low = rng.integers(0, 60, (count, 2)).astype(np.float64)
    return np.concatenate([low, low + rng.integers(5, 40, (count, 2))], axis=1)


def by_pycocotools(found: list[Detections], true: list[Objects], limits: tuple[float, ...]) -> float:
    images = [{"id": index + 1} for index in range(len(true))]
    annotations = [
        {"image_id": image + 1, "bbox": wide(box), "category_id": int(index) + 1, "iscrowd": int(crowd)}
        | {"area": float(np.prod(wide(box)[2:]))}
        for image, one in enumerate(true)
        for box, index, crowd in zip(*one, strict=True)
    ]
    annotations = [{**one, "id": place + 1} for place, one in enumerate(annotations)]
    results = [
        {"image_id": image + 1, "bbox": wide(box), "category_id": int(index) + 1, "score": float(score)}
        for image, one in enumerate(found)
        for box, score, index in zip(*one, strict=True)
    ]
    if not results or not annotations:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": index + 1} for index in range(CLASSES)],
        }
        truth.createIndex()
        judge = COCOeval(truth, truth.loadRes(results), "bbox")
        judge.params.iouThrs = np.array(limits)
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][:, :, :, 0, 2]  # all sizes, at most 100 in an image
    return float(precision[precision > -1].mean()) if (precision > -1).any() else 0.0


def wide(box: Any) -> list[float]:
    return [*map(float, box[:2]), *map(float, box[2:] - box[:2])]


@pytest.mark.parametrize("limits", [(0.5,), LIMITS], ids=["map50", "map"])
def test_200_random_scenes_give_what_pycocotools_gives(limits: tuple[float, ...]) -> None:
    values = []
    for seed in range(200):
        found, true = scene(seed)
        ours = mean_average_precision(found, true, limits)(np.arange(len(true)))
        values.append((ours, by_pycocotools(found, true, limits)))

    ours_all, theirs = np.array(values).T
    np.testing.assert_allclose(ours_all, theirs, rtol=0, atol=1e-6)
    assert 0.1 < theirs.mean() < 0.9


def test_an_image_drawn_twice_counts_twice() -> None:
    (one, two), (there, elsewhere) = pairs()

    drawn = mean_average_precision([one, two], [there, elsewhere])(np.array([0, 1, 1]))
    copied = mean_average_precision([one, two, two], [there, elsewhere, elsewhere])(np.arange(3))

    assert drawn == pytest.approx(copied)
    assert drawn != mean_average_precision([one, two], [there, elsewhere])(np.arange(2))


def pairs() -> Scene:
    """One object that is found, and two of which one is found."""
    box, far = np.array([[0.0, 0, 10, 10]]), np.array([[50.0, 50, 60, 60]])
    both = np.concatenate([box, far])
    found = [Detections(box, np.array([0.5]), np.array([0]))] * 2
    return found, [
        Objects(box, np.array([0]), np.array([False])),
        Objects(both, np.array([0, 0]), np.array([False, False])),
    ]


def test_no_object_anywhere_is_a_precision_of_zero() -> None:
    nothing = Objects(np.empty((0, 4)), np.empty(0, np.int64), np.empty(0, np.bool_))

    assert mean_average_precision([pairs()[0][0]], [nothing])(np.arange(1)) == 0.0


def test_boxes_without_area_overlap_nothing() -> None:
    flat = np.array([[3.0, 3, 3, 9]])

    assert overlaps(flat, flat).tolist() == [[0.0]]
