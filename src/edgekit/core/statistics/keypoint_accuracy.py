"""How near points are to where they should be: the share that is near enough, and the similarity of COCO.

The points of S samples are (S, P, 2) in pixels; true ones are (S, P, 3), with 0 as the third value of a point that is
not labelled. `pycocotools` gives the same similarities and average precision; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.statistics.average_precision import AveragePrecision, single_objects
from edgekit.core.statistics.bootstrap import Rows

Floats = NDArray[np.float64]
# How far, of the longer side of the box around the true points, a found point may be: what MMPose takes by default.
NEAR: Final = 0.2
# The points of a person, and how far people place each of them apart (cocodataset.org/#keypoints-eval).
COCO_SIGMAS: Final = np.array(
    [0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]
) / np.float64(10)
_LIMITS: Final = tuple(float(limit) for limit in np.linspace(0.5, 0.95, 10))


@dataclass(frozen=True)
class PointHits:
    """How many points of each sample are near enough, and how many are labelled, both (S,)."""

    hits: NDArray[np.int64]
    counts: NDArray[np.int64]

    def share(self, rows: Rows) -> float:
        """The share of labelled points of these samples that were found (PCK); 0 without any."""
        return float(self.hits[rows].sum() / max(1, self.counts[rows].sum()))


def near_points(found: Floats, true: Floats) -> PointHits:
    """The points at a distance of at most `NEAR` of the longer side of the box around the labelled points."""
    sides = _sides(true)
    distances = np.linalg.norm(found - true[..., :2], axis=2)
    known = true[..., 2] > 0
    hits = (distances <= NEAR * sides.max(axis=1, initial=0.0)[:, None]) & known
    return PointHits(hits.sum(axis=1), known.sum(axis=1))


def similarities(found: Floats, true: Floats) -> Floats:
    """Object keypoint similarity of each sample with 17 points, (S,), 0 to 1; 0 without a labelled point.

    The area of an object is that of the box around its labelled points.
    """
    sizes = np.prod(_sides(true), axis=1)
    squares = np.square(found - true[..., :2]).sum(axis=2)
    # As COCO does it, so that an object without an area is similar only to itself.
    scaled = squares / np.square(2 * COCO_SIGMAS) / (sizes[:, None] + np.spacing(1)) / 2
    known = true[..., 2] > 0
    return np.asarray((np.exp(-scaled) * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1))


def keypoint_precision(found: Floats, scores: Floats, true: Floats) -> AveragePrecision:
    """Average precision over similarities of 0.5 to 0.95, of one object in each sample.

    Args:
        scores: Of the object found in each sample, (S,). Samples without a labelled point do not count.
    """
    counts = np.asarray((true[..., 2] > 0).any(axis=1))
    return single_objects(similarities(found, true), scores, counts, _LIMITS)


def _sides(true: Floats) -> Floats:
    """Width and height of the box around the labelled points of each sample, (S, 2); 0 without any."""
    known = true[..., 2:] > 0
    low = np.where(known, true[..., :2], np.inf).min(axis=1, initial=np.inf)
    high = np.where(known, true[..., :2], -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(high - low), high - low, 0.0)
