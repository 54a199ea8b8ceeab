"""Keypoint similarity and its average precision, compared with pycocotools on random people; and the share of hits."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from edgekit.core.statistics.keypoint_accuracy import COCO_SIGMAS, keypoint_precision, near_points, similarities

Floats = NDArray[np.float64]
POINTS = len(COCO_SIGMAS)


def people(rng: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """Found points (S, 17, 2), scores with ties, and true ones (S, 17, 3), of which each has a few labelled."""
    true = np.concatenate([rng.uniform(0, 200, (count, POINTS, 2)), rng.integers(0, 3, (count, POINTS, 1))], axis=2)
    true[:, rng.integers(0, POINTS, 2), 2] = 2
    error = rng.choice([2, 15, 40], (count, 1, 1)) * rng.normal(size=(count, POINTS, 2))
    return true[..., :2] + error, rng.integers(1, 6, count) / 5, true


def by_pycocotools(found: Floats, scores: Floats, true: Floats) -> tuple[float, Floats]:
    truth = COCO()
    objects = []
    for image, one in enumerate(true):
        there = one[one[:, 2] > 0, :2]
        low, high = there.min(axis=0), there.max(axis=0)
        objects.append(
            {"id": image + 1, "image_id": image, "category_id": 1, "iscrowd": 0, "area": float(np.prod(high - low)),
             "bbox": [*low.tolist(), *(high - low).tolist()], "num_keypoints": len(there),
             "keypoints": one.reshape(-1).tolist()}
        )  # fmt: skip
    truth.dataset = {"images": [{"id": image} for image in range(len(true))], "categories": [{"id": 1}]}
    truth.dataset["annotations"] = objects
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        rows = np.concatenate([found, np.ones((*found.shape[:2], 1))], axis=2).reshape(len(found), -1)
        given = [
            {"image_id": image, "category_id": 1, "keypoints": row.tolist(), "score": float(score)}
            for image, (row, score) in enumerate(zip(rows, scores, strict=True))
        ]
        evaluation = COCOeval(truth, truth.loadRes(given), "keypoints")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]
    alike = np.array([evaluation.ious[image, 1][0, 0] for image in range(len(true))])
    return float(precision[precision > -1].mean()), alike


def test_200_random_groups_of_people_have_the_figures_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        found, scores, true = people(rng, int(rng.integers(1, 7)))
        precision, alike = by_pycocotools(found, scores, true)

        assert similarities(found, true) == pytest.approx(alike, abs=1e-6)
        assert keypoint_precision(found, scores, true)(np.arange(len(true))) == pytest.approx(precision, abs=1e-6)


def test_the_figures_are_those_of_the_chosen_samples_and_of_labelled_points() -> None:
    true = np.array([[[0, 0, 2], [100, 0, 1], [7, 7, 0]], [[0, 0, 1], [0, 10, 1], [0, 0, 0]], [[5, 5, 0]] * 3], float)
    found = np.array([[[0, 20], [100, 20.1], [0, 0]], [[0, 0], [0, 8], [9, 9]], [[5, 5]] * 3], float)

    hits = near_points(found, true)

    assert (hits.hits.tolist(), hits.counts.tolist()) == ([1, 2, 0], [2, 2, 0])
    assert hits.share(np.array([0, 0, 1, 2])) == 4 / 6
    assert hits.share(np.array([2])) == 0
