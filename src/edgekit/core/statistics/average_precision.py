"""Average precision of detected objects, by the rules of COCO (Lin et al. 2014) for objects of all sizes.

Boxes are (x1, y1, x2, y2) in any one unit. `pycocotools` gives the same figures; a test compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.statistics.bootstrap import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

RECALLS: Final = np.linspace(0.0, 1.0, 101)
# The most detections that count in one image.
MOST: Final = 100
_NEVER_ZERO: Final = float(np.spacing(1))


class Detections(NamedTuple):
    """What was found in one image: boxes (D, 4), their scores (D,) and class indices (D,)."""

    boxes: Floats
    scores: Floats
    classes: Ints


class Objects(NamedTuple):
    """What is in one image: boxes (G, 4), class indices (G,), and which regions hold a crowd, (G,).

    What is found in a crowd counts neither for nor against.
    """

    boxes: Floats
    classes: Ints
    crowds: Flags


def overlaps(found: Floats, true: Floats, crowds: Flags | None = None) -> Floats:
    """Intersection over union of boxes (D, 4) with boxes (G, 4), shape (D, G); over the area found for crowds."""
    low = np.maximum(found[:, None, :2], true[None, :, :2])
    high = np.minimum(found[:, None, 2:], true[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0.0, None), axis=2)
    here, there = _areas(found)[:, None], _areas(true)[None]
    whole = here + there - shared
    if crowds is not None:
        whole = np.where(crowds[None], np.broadcast_to(here, whole.shape), whole)
    return np.asarray(np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0))


def mean_average_precision(
    found: Sequence[Detections], true: Sequence[Objects], limits: Sequence[float] = (0.5,)
) -> AveragePrecision:
    """The matches of all images, from which the mean average precision of any choice of them follows.

    Args:
        found: For each image.
        true: For each image, in the same order.
        limits: Overlaps from which a detection counts as that object; the result is the mean over them.
    """
    present = np.unique(np.concatenate([one.classes for one in true] or [np.empty(0, np.int64)]))
    return AveragePrecision(tuple(_of_class(int(index), found, true, limits) for index in present))


def single_objects(shared: Floats, scores: Floats, counts: Flags, limits: Sequence[float] = (0.5,)) -> AveragePrecision:
    """The matches of images with one detection and at most one object each, whatever their overlap is.

    Args:
        shared: How well the detection of each image agrees with its object, (S,).
        scores: Of the detections, (S,).
        counts: Whether an image has an object, (S,); the others do not count.
    """
    order = np.argsort(-scores, kind="stable")
    order = order[counts[order]]
    least = np.minimum(np.array(limits), 1 - 1e-10)
    hits = shared[order] >= least[:, None]
    return AveragePrecision((_ClassMatches(hits, ~hits, order, counts.astype(np.int64)),))


@dataclass(frozen=True)
class _ClassMatches:
    """The detections of one class in all images, best first.

    `hits` and `misses` are (limits, D), `images` (D,) where they were found, `counts` (images,) how many there are.
    """

    hits: Flags
    misses: Flags
    images: Ints
    counts: Ints

    def precision(self, weights: Ints) -> float | None:
        """The average precision if image i counts `weights[i]` times; None without an object."""
        total = int(self.counts @ weights)
        if total == 0:
            return None
        each = weights[self.images]
        hits, misses = np.cumsum(self.hits * each, axis=1), np.cumsum(self.misses * each, axis=1)
        return float(
            np.mean(
                [_area(hit / total, hit / (hit + miss + _NEVER_ZERO)) for hit, miss in zip(hits, misses, strict=True)]
            )
        )


@dataclass(frozen=True)
class AveragePrecision:
    """The matches of each class."""

    classes: tuple[_ClassMatches, ...]

    def __call__(self, rows: Rows) -> float:
        """The mean over classes of the images with these numbers, from 0 to 1; 0 without any object."""
        if not self.classes:
            return 0.0
        weights = np.bincount(rows, minlength=len(self.classes[0].counts))
        found = [value for one in self.classes if (value := one.precision(weights)) is not None]
        return float(np.mean(found)) if found else 0.0


def _of_class(
    index: int, found: Sequence[Detections], true: Sequence[Objects], limits: Sequence[float]
) -> _ClassMatches:
    parts = [_matched(*_only(index, one, there), limits) for one, there in zip(found, true, strict=True)]
    counts = [int(((one.classes == index) & ~one.crowds).sum()) for one in true]
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    images = np.repeat(np.arange(len(parts)), [len(part.scores) for part in parts])
    hits, misses = (
        np.concatenate(each, axis=1) for each in zip(*((one.hits, one.misses) for one in parts), strict=True)
    )
    return _ClassMatches(hits[:, order], misses[:, order], images[order], np.array(counts))


class _ImageMatches(NamedTuple):
    scores: Floats
    hits: Flags
    misses: Flags


def _only(index: int, found: Detections, true: Objects) -> tuple[Detections, Objects]:
    """One class: its best detections first, its crowds last."""
    rows = np.flatnonzero(found.classes == index)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")[:MOST]]
    there = np.flatnonzero(true.classes == index)
    there = there[np.argsort(true.crowds[there], kind="stable")]
    return (
        Detections(found.boxes[rows], found.scores[rows], found.classes[rows]),
        Objects(true.boxes[there], true.classes[there], true.crowds[there]),
    )


def _matched(found: Detections, true: Objects, limits: Sequence[float]) -> _ImageMatches:
    """Each detection, best first, takes the free object that it overlaps most; a crowd may be taken many times."""
    shared = overlaps(found.boxes, true.boxes, true.crowds)
    hits = np.zeros((len(limits), len(found.scores)), np.bool_)
    misses = np.ones_like(hits)
    for place, limit in enumerate(limits):
        taken = np.zeros(len(true.classes), np.bool_)
        for row, each in enumerate(shared):
            chosen = _chosen(each, limit, taken, true.crowds)
            if chosen is None:
                continue
            taken[chosen] = True
            hits[place, row], misses[place, row] = not true.crowds[chosen], False
    return _ImageMatches(found.scores, hits, misses)


def _chosen(shared: Floats, limit: float, taken: Flags, crowds: Flags) -> int | None:
    """The object that a detection takes: of those with the largest overlap the last, as in COCO."""
    least = min(limit, 1 - 1e-10)
    for allowed in (~taken & ~crowds, crowds):
        rows = np.flatnonzero(allowed & (shared >= least))
        if len(rows):
            best = shared[rows]
            return int(rows[len(rows) - 1 - int(np.argmax(best[::-1]))])
    return None


def _area(recall: Floats, precision: Floats) -> float:
    """The mean over 101 recalls of the best precision at that recall or a higher one."""
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(best, 0.0)[np.minimum(places, len(best))].mean())


def _areas(boxes: Floats) -> Floats:
    return np.asarray(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
