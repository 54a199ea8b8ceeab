"""How a detector writes its boxes where no sample is labelled: the readings that the values of its outputs leave."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, get_args

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import Corners, DetectionOutput, Unit
from edgekit.export.checking.tasks.detector_forms import possible_boxes
from edgekit.runtime.detection import input_size
from edgekit.runtime.portable.found_objects import candidates

OBJECTNESS: Final = "objectness"
BACKGROUND: Final = "background"
# What a user can say of boxes, each word the value or the name of a field of DetectionOutput.
BOX_WORDS: Final = (*get_args(Corners), *get_args(Unit), OBJECTNESS, BACKGROUND)
# A reading that more than this share of the candidates contradicts is impossible.
_MOST: Final = 0.5
# Corners that are all within as many pixels are in another unit.
_NO_PIXELS: Final = 2.0
# Of the scores of a softmax: how far their sum is from 1, with the rounding of int8.
_ROUNDED: Final = 0.02


def left_boxes(spec: ModelSpec, outputs: Sequence[Feed], words: Collection[str] = ()) -> list[DetectionOutput]:
    """The readings of boxes that fit the shapes of the outputs, what the user says, and the values.

    The values exclude a reading with which most candidates are outside of the image or have negative sides; pixels, if
    all corners are within the first two; a background, if the scores are probabilities whose sum is not 1; and a score
    of any object, if it is 1. They do not contradict a user: what the words leave is returned where the values leave
    none.

    Args:
        outputs: Of one or more samples each.
        words: Some of `BOX_WORDS`.

    Raises:
        UserError: No reading fits the shapes, or the input is not an image of a fixed size.
    """
    size = input_size(spec)
    fitting = [how for how in possible_boxes(outputs[0], spec) if set(words) <= words_of(how)]
    with np.errstate(all="ignore"):  # boxes of one reading may be infinite in another
        left = [how for how in fitting if _is_possible(how, outputs, size)]
    return left or (fitting if words else [])


def words_of(how: DetectionOutput) -> set[str]:
    """The words of `BOX_WORDS` that describe a reading."""
    return {how.corners, how.unit, *([OBJECTNESS] * how.objectness), *([BACKGROUND] * how.background)}


def _is_possible(how: DetectionOutput, outputs: Sequence[Feed], size: tuple[int, int]) -> bool:
    try:
        found = [pair for feed in outputs for pair in candidates(feed, structs.asdict(how), size)]
    except ValueError:  # boxes and scores of different numbers of samples
        return False
    boxes = np.concatenate([box for box, _ in found])
    if not _are_in_image(boxes[np.isfinite(boxes).all(axis=1)], how, size):
        return False
    # The first score of such rows is that of the background, which `candidates` has left out, or of any object.
    rows = _raw_scores(how, outputs)
    if how.logits or not len(rows):
        return True
    is_softmax = bool(np.median(np.abs(rows.sum(axis=1) - 1)) < _ROUNDED)
    return not (how.background and not is_softmax) and not (how.objectness and is_softmax)


def _are_in_image(boxes: NDArray[np.float64], how: DetectionOutput, size: tuple[int, int]) -> bool:
    """Whether most boxes, as corners in pixels, have sides that are not negative, and their centre in the image."""
    if not len(boxes):
        return True
    low, high = boxes[:, :2], boxes[:, 2:]
    centre, sides, edge = (low + high) / 2, high - low, np.array(size[::-1])
    is_outside = (sides < 0).any(axis=1) | (centre < 0).any(axis=1) | (centre > edge).any(axis=1)
    is_tiny = how.unit == "pixels" and bool(np.abs(boxes).max() < _NO_PIXELS)
    return not is_tiny and bool(is_outside.mean() <= _MOST)


def _raw_scores(how: DetectionOutput, outputs: Sequence[Feed]) -> NDArray[np.float64]:
    """All scores of each candidate, (A, K + 1), of a reading with one more than there are classes; else none."""
    if not (how.objectness or how.background):
        return np.zeros((0, 1))
    plain = structs.replace(how, objectness=False, background=False, logits=False)
    found = [scores for feed in outputs for _, scores in candidates(feed, structs.asdict(plain), (1, 1))]
    return np.asarray(np.concatenate(found), np.float64)
