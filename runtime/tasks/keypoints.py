"""Points in the outputs of a network, such as the joints of a person, and how near they are to the true ones."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import KeypointsOutput
from edgekit.core.statistics.bootstrap import Statistic
from edgekit.core.statistics.keypoint_accuracy import COCO_SIGMAS, keypoint_precision, near_points
from edgekit.runtime.detection import input_size, of_samples
from edgekit.runtime.portable.inputs import places_in_file

# The task, and the array of the points of each sample, (S, P, 2): x and y in pixels of the input; or (S, P, 3), with 0
# as the third value of a point that is not labelled.
KEYPOINTS: Final = "keypoints"
_PLANE, _WITH_SCORE = 2, 3
_HEATMAP_AXES: Final = 3
# Towards the neighbour with the higher score (Xiao et al. 2018, Simple Baselines for Human Pose Estimation).
_QUARTER: Final = 0.25
Floats = NDArray[np.float64]


class FoundPoint(NamedTuple):
    """A point with the score that the network gives it.

    x and y are in pixels of the image that was given, or of the input of the model where that was given; whole numbers
    are centres of pixels.
    """

    label: str
    x: float
    y: float
    score: float


def found_points(outputs: Feed, spec: ModelSpec, size: tuple[int, int] | None = None) -> tuple[FoundPoint, ...]:
    """The points of one sample in the order of the network; errors as in `points`.

    `size` is the width and height of the image that became the input, if it was one.
    """
    rows = points({name: array[:1] for name, array in outputs.items()}, spec)[0]
    if size and isinstance(spec.preprocessing, ImageInput):
        how = msgspec.structs.asdict(spec.preprocessing)
        rows[:, :_PLANE] = places_in_file(rows[:, :_PLANE] + 0.5, size, how) - 0.5
    names = [spec.labels[index] if index < len(spec.labels) else str(index) for index in range(len(rows))]
    return tuple(FoundPoint(name, *map(float, row)) for name, row in zip(names, rows, strict=True))


def points(outputs: Feed, spec: ModelSpec) -> Floats:
    """The points of each sample, (S, P, 3): x and y in pixels of the input, and a score, 1 where the network has none.

    In a heatmap a point is where it is highest, a quarter of a place nearer to the higher neighbour. In SimCC it is
    where both vectors are highest, with the lower of both values as its score.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.

    Raises:
        UserError: The outputs that the spec describes have other shapes.
    """
    how = spec.postprocessing
    if not isinstance(how, KeypointsOutput):
        raise UserError(f"'{spec.name}' has no description of the points in its outputs.")
    if how.form == "simcc":
        vectors = _values(outputs, how.points, _PLANE), _values(outputs, how.rows, _PLANE)
        return _of_vectors(*vectors, input_size(spec))
    if how.form == "heatmaps":
        maps = _values(outputs, how.points, _HEATMAP_AXES)
        return _of_heatmaps(maps.transpose(0, 3, 1, 2) if how.channels_last else maps, input_size(spec))
    # Only shares need an image.
    size = input_size(spec) if how.unit == "share" else (1, 1)
    return _of_coordinates(outputs, how, size)


def pck(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The share of points that are near enough, as in `near_points`."""
    found, true = _both(outputs, samples, spec)
    return near_points(found[..., :2], true).share


def oks_ap(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """Average precision of people with the 17 points of COCO, one in each sample.

    Raises:
        UserError: The points are not the 17 of COCO, or as in `points`.
    """
    found, true = _both(outputs, samples, spec)
    if true.shape[1] != len(COCO_SIGMAS):
        raise UserError(f"'oks_ap' is for the {len(COCO_SIGMAS)} points of COCO; the samples have {true.shape[1]}.")
    return keypoint_precision(found[..., :2], found[..., 2].mean(axis=1), true)


def true_points(samples: Samples) -> Floats:
    """The true points, (S, P, 3), 0 as the third value of one that is not labelled; errors as in `of_samples`."""
    array = of_samples(samples, KEYPOINTS)
    if array.shape[-1] not in (_PLANE, _WITH_SCORE) or not array.size:
        raise UserError(f"The samples have '{KEYPOINTS}' of the shape {array.shape}; expected (S, points, 2 or 3).")
    flat = np.asarray(array.reshape(len(array), -1, array.shape[-1]), np.float64)
    return flat if flat.shape[2] == _WITH_SCORE else np.concatenate([flat, np.ones_like(flat[..., :1])], axis=2)


def _both(outputs: Feed, samples: Samples, spec: ModelSpec) -> tuple[Floats, Floats]:
    found, true = points(outputs, spec), true_points(samples)
    if found.shape != true.shape:
        raise UserError(f"'{spec.name}' returns {found.shape[1]} points, the samples have {true.shape[1]}.")
    return found, true


def _of_coordinates(outputs: Feed, how: KeypointsOutput, size: tuple[int, int]) -> Floats:
    array = _output(outputs, how.points)
    width = _WITH_SCORE if how.with_score else _PLANE
    if array.size % (len(array) * width) or not array.size:
        raise _unfitting(how.points, array)
    flat = np.asarray(array.reshape(len(array), -1, width), np.float64)
    places = flat[..., 1::-1] if how.y_first else flat[..., :2]
    scores = flat[..., 2:] if how.with_score else np.ones_like(flat[..., :1])
    return np.concatenate([places * size[::-1], scores], axis=2)


def _of_heatmaps(maps: Floats, size: tuple[int, int]) -> Floats:
    count, number, height, width = maps.shape
    flat = maps.reshape(count, number, -1)
    best = flat.argmax(axis=2)
    y, x = np.divmod(best, width)
    padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns = np.ogrid[:count, :number]
    right, left = padded[rows, columns, y + 1, x + 2], padded[rows, columns, y + 1, x]
    below, above = padded[rows, columns, y + 2, x + 1], padded[rows, columns, y, x + 1]
    inside = (x > 0) & (x < width - 1), (y > 0) & (y < height - 1)
    found_x = x + _QUARTER * np.sign(right - left) * inside[0]
    found_y = y + _QUARTER * np.sign(below - above) * inside[1]
    return np.stack([found_x * size[1] / width, found_y * size[0] / height, flat.max(axis=2)], axis=2)


def _of_vectors(columns: Floats, rows: Floats, size: tuple[int, int]) -> Floats:
    """Of SimCC (Li et al. 2022): scores of each place in x (S, P, X) and in y (S, P, Y)."""
    x = columns.argmax(axis=2) * size[1] / columns.shape[2]
    y = rows.argmax(axis=2) * size[0] / rows.shape[2]
    return np.stack([x, y, np.minimum(columns.max(axis=2), rows.max(axis=2))], axis=2)


def _output(outputs: Feed, name: str) -> Array:
    if name not in outputs:
        raise UserError(f"The model has no output '{name}'; it has {', '.join(outputs)}.")
    if outputs[name].dtype.kind not in "fiu" or not outputs[name].ndim:
        raise _unfitting(name, outputs[name])
    return outputs[name]


def _values(outputs: Feed, name: str, axes: int) -> Floats:
    """An output of S samples with `axes` axes each, which may have a batch of 1 of their own."""
    array = _output(outputs, name)
    if array.ndim <= axes or array.size != len(array) * int(np.prod(array.shape[-axes:])) or not array.size:
        raise _unfitting(name, array)
    return np.asarray(array.reshape(len(array), *array.shape[-axes:]), np.float64)


def _unfitting(name: str, array: Array) -> UserError:
    return UserError(f"Output '{name}' has {array.dtype} of the shape {list(array.shape)}: no points are in it.")
