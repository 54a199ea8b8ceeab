"""Objects in the outputs of a detector, with the names of their classes, and how good they are."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
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
)
from edgekit.runtime.portable.found_objects import by_sample
from edgekit.runtime.portable.found_objects import found_objects as in_outputs
from edgekit.runtime.portable.inputs import in_file

DETECTION: Final = "detection"
# The array of what is in each sample, (S, M, 6): the corners x1, y1, x2, y2 in pixels of the input, the class, and 1
# for a crowd. A class of -1 fills the rows of samples with fewer objects.
OBJECTS: Final = "objects"
# Average precision is over all scores, and these cannot change it by more than a rounding error.
_FAINT: Final = 0.001
_LIMITS: Final = tuple(float(limit) for limit in np.linspace(0.5, 0.95, 10))
_BOX: Final = 4
# What is known of an object, and the axes of what is known of a sample.
_OBJECT: Final = 6
_AXES: Final = 3


class FoundObject(NamedTuple):
    """An object with its score from 0 to 1.

    `box` is x1, y1, x2, y2 in pixels of the image that was given, or of the input of the model where that was given.
    """

    label: str
    score: float
    box: tuple[float, float, float, float]


def found_objects(outputs: Feed, spec: ModelSpec, size: tuple[int, int] | None = None) -> tuple[FoundObject, ...]:
    """What is found in one sample, best first; errors as in `detections`.

    `size` is the width and height of the image that became the input, if it was one.
    """
    return tuple(
        FoundObject(spec.labels[index] if index < len(spec.labels) else str(index), float(score), _edges(box))
        for found in detections(outputs, spec)
        for box, score, index in zip(_placed(found.boxes, spec, size), found.scores, found.classes, strict=True)
    )


def _placed(boxes: Any, spec: ModelSpec, size: tuple[int, int] | None) -> Any:
    """Boxes in pixels of the image of this size, or as they are without one."""
    how = spec.preprocessing
    return in_file(boxes, size, msgspec.structs.asdict(how)) if size and isinstance(how, ImageInput) else boxes


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
    try:
        return [Detections(*one) for one in in_outputs(outputs, msgspec.structs.asdict(how), input_size(spec), least)]
    except ValueError as err:
        raise UserError(str(err)) from err


def objects_of(array: Array) -> list[Objects]:
    """What is in each sample, from an array (S, M, 6) as described at `OBJECTS`."""
    found = []
    for rows in np.asarray(by_sample(array), np.float64):
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
        raise UserError(
            f"Boxes and points are in pixels of an image, but '{spec.inputs[0]}' is not an image of a fixed size.",
            hint="--preprocess 'letterbox=640x640' says its size.",
        )
    return (sizes[0], sizes[1]) if sizes[2] in (1, 3) and sizes[0] not in (1, 3) else (sizes[1], sizes[2])


def _average_precision(outputs: Feed, samples: Samples, spec: ModelSpec, limits: tuple[float, ...]) -> AveragePrecision:
    true = objects_of(of_samples(samples, OBJECTS, _OBJECT))
    found = detections(outputs, spec, _FAINT)
    refuse_unpaired(spec, len(found), len(true))
    return mean_average_precision(found, true, limits)


def refuse_unpaired(spec: ModelSpec, found: int, count: int) -> None:
    """Raise unless a model returned one prediction for each sample.

    Raises:
        UserError: It returned more or fewer.
    """
    if found != count:
        raise UserError(
            f"'{spec.name}' returned {found} predictions for {count} samples.",
            hint="Each output needs one row for each sample.",
        )


def of_samples(samples: Samples, name: str, last: int | None = None) -> Array:
    """The target `name` of samples, which has 3 axes or more, the last of the length `last` if that is given.

    Raises:
        UserError: They have none, or of another shape.
    """
    array = samples.targets.get(name)
    if array is None or array.ndim < _AXES or array.dtype.kind not in "biuf" or last not in (None, array.shape[-1]):
        found = "no" if array is None else f"{array.dtype} of the shape {array.shape} as"
        raise UserError(f"The samples have {found} '{name}'.", hint="edgekit export SOURCE --samples FILE")
    return array


def _how(spec: ModelSpec) -> DetectionOutput:
    how = spec.postprocessing
    if not isinstance(how, DetectionOutput):
        raise UserError(f"'{spec.name}' has no description of the boxes in its outputs.")
    return how
