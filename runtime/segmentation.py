"""Masks in the outputs of a network: the class of each place of the image. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.core.statistics.bootstrap import Statistic
from edgekit.core.statistics.mask_overlap import IGNORED, MaskCounts, mask_counts
from edgekit.runtime.detection import input_size, of_samples, refuse_unpaired
from edgekit.runtime.preprocessing import cut_from, resized_to

SEGMENTATION: Final = "segmentation"
# The array of the class of each place, (S, H, W), `IGNORED` where none is known.
MASK: Final = "mask"
_PLANE: Final = 2
# Scores of one sample: classes, height, width.
_SCORES: Final = 3


class ClassShare(NamedTuple):
    """A class, and the share of the places of an image that have it."""

    number: int
    label: str
    share: float


def mask_of(outputs: Feed, spec: ModelSpec, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The class of each place of one sample, (H, W), in the size of the input; errors as in `masks`.

    In the size of the output where that of the input is free. `size` is the width and height of the image that became
    the input, if it was one: places on its border are `IGNORED`.
    """
    found = next(masks(outputs, spec, [_size(outputs, spec)])).astype(np.uint8)
    how = spec.preprocessing
    if size is None or not isinstance(how, ImageInput) or how.letterbox is None:
        return found
    width, height = resized_to(size, how)
    left, top = cut_from((width, height), how)
    framed = np.full_like(found, IGNORED)
    inside = slice(-top, height - top), slice(-left, width - left)
    framed[inside] = found[inside]
    return framed


def shares(mask: NDArray[np.uint8], spec: ModelSpec) -> tuple[ClassShare, ...]:
    """The classes in a mask with their shares, largest first; of equal ones the first class. `IGNORED` is none."""
    known = mask[mask != IGNORED]
    counts = np.bincount(known)
    order = sorted(map(int, np.flatnonzero(counts)), key=lambda number: -counts[number])
    return tuple(ClassShare(number, class_name(number, spec), float(counts[number] / known.size)) for number in order)


def class_name(number: int, spec: ModelSpec) -> str:
    """The label of a class, or its number."""
    return spec.labels[number] if number < len(spec.labels) else str(number)


def masks(outputs: Feed, spec: ModelSpec, sizes: list[tuple[int, int]]) -> Iterator[NDArray[np.int64]]:
    """The class with the highest score at each place of each sample; of equal ones the first.

    Args:
        outputs: Of S samples, `{name: (S, ...)}`.
        sizes: Height and width of the mask of each sample, to which scores are enlarged (`resized`).

    Raises:
        UserError: The shape of the output does not match the postprocessing of the spec.
    """
    how = _how(spec)
    for scores, size in zip(_scores(outputs, how), sizes, strict=True):
        enlarged = resized(scores, size)
        if len(enlarged) == 1:
            yield (enlarged[0] > how.threshold).astype(np.int64)
        else:
            yield enlarged.argmax(axis=0)


def resized(planes: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(C, H, W) in another height and width, bilinearly between the centres of places, as PyTorch does it.

    `torch.nn.functional.interpolate(..., mode="bilinear", align_corners=False)`.
    """
    if planes.shape[1:] == size:
        return planes
    for axis, length in ((1, size[0]), (2, size[1])):
        planes = _along(planes, axis, length)
    return planes


def miou(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """Mean intersection over union of the classes that occur."""
    return _counts(outputs, samples, spec).mean_overlap


def pixel_accuracy(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The share of places with the right class."""
    return _counts(outputs, samples, spec).share_of_hits


def class_count(outputs: Feed, how: SegmentationOutput) -> int:
    """How many classes the scores distinguish; errors as in `masks`."""
    channels = len(next(_scores({name: array[:1] for name, array in outputs.items()}, how)))
    return max(2, channels)


def _counts(outputs: Feed, samples: Samples, spec: ModelSpec) -> MaskCounts:
    true, classes = masks_of(samples), class_count(outputs, _how(spec))
    known = true[true != IGNORED]
    if known.size and (known.min() < 0 or known.max() >= classes):
        wrong = int(known.min()) if known.min() < 0 else int(known.max())
        raise UserError(
            f"A mask contains the class {wrong}; '{spec.name}' has the classes 0 to {classes - 1}.",
            hint=f"Number the classes as the network does; {IGNORED} is for places that do not count.",
        )
    refuse_unpaired(spec, sum(1 for _ in _scores(outputs, _how(spec))), len(true))
    found = masks(outputs, spec, [one.shape for one in true])
    return mask_counts(list(found), list(true), classes)


def masks_of(samples: Samples) -> NDArray[np.int64]:
    """The true masks, (S, H, W); errors as in `of_samples`."""
    array = of_samples(samples, MASK)
    return np.asarray(array.reshape(-1, *array.shape[-_PLANE:]), np.int64)


def _size(outputs: Feed, spec: ModelSpec) -> tuple[int, int]:
    shape = spec.inputs[0].shape
    if isinstance(spec.preprocessing, ImageInput) or all(isinstance(axis, int) for axis in shape[1:]):
        return input_size(spec)
    height, width = next(_scores(outputs, _how(spec))).shape[1:]
    return height, width


def _how(spec: ModelSpec) -> SegmentationOutput:
    how = spec.postprocessing
    if not isinstance(how, SegmentationOutput):
        raise UserError(f"'{spec.name}' has no description of the masks in its outputs.")
    return how


def _scores(outputs: Feed, how: SegmentationOutput) -> Iterator[NDArray[np.float32]]:
    """Scores (K, H, W) of each sample."""
    if how.scores not in outputs:
        raise UserError(f"The model has no output '{how.scores}'; it has {', '.join(outputs)}.")
    for one in _by_sample(outputs[how.scores]):
        yield one.transpose(2, 0, 1) if how.channels_last else one


def _by_sample(array: Array) -> NDArray[Any]:
    """(S, K, H, W) of an array that may have a batch of 1 for each sample, or no axis for one class, (S, H, W)."""
    grown = array[:, None] if array.ndim == _SCORES else array
    if grown.ndim <= _SCORES or not grown.size:
        raise UserError(f"An output of the shape {list(array.shape)} contains no scores for places of an image.")
    return np.asarray(grown.reshape(-1, *grown.shape[-_SCORES:]), np.float32)


def _along(planes: NDArray[np.float32], axis: int, length: int) -> NDArray[np.float32]:
    have = planes.shape[axis]
    centres = np.clip((np.arange(length) + 0.5) * (have / length) - 0.5, 0, have - 1)
    first = np.floor(centres).astype(np.int64)
    second = np.minimum(first + 1, have - 1)
    weights = (centres - first).astype(np.float32).reshape([-1 if place == axis else 1 for place in range(_SCORES)])
    before, after = (np.take(planes, index, axis=axis) for index in (first, second))
    return np.asarray(before + weights * (after - before), np.float32)
