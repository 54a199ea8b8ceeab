"""How a user's network writes its masks: the reading whose classes agree best with the masks of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SegmentationOutput
from edgekit.runtime.segmentation import MASK, class_count, miou

# Samples on which the readings are compared.
_TRIED: Final = 50
_SCORES: Final = 3
_MIDDLE: Final = 0.5


class MaskReading(NamedTuple):
    """A reading of the outputs, and the mean overlap that the reference has with it."""

    how: SegmentationOutput
    overlap: float


def with_segmentation_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and a note of it; unchanged for other tasks and where it is known.

    Args:
        samples: With masks and the reference outputs.

    Raises:
        UserError: No outputs have the shape of scores for the classes of the masks.
    """
    if MASK not in samples.targets or isinstance(spec.postprocessing, SegmentationOutput):
        return spec, ()
    if MASK in samples.expected and spec.task != "segmentation":
        return spec, ()
    few = samples.take(slice(0, _TRIED))
    fitting = possible_masks(few.expected, spec)
    readings = [one for how in fitting if (one := _tried(spec, how, few)) is not None]
    if not readings:
        raise _unreadable(spec, few.expected)
    best = max(readings, key=lambda one: one.overlap)
    return structs.replace(spec, postprocessing=best.how), (_note(best),)


def possible_masks(outputs: Feed, spec: ModelSpec) -> list[SegmentationOutput]:
    """Every reading that the shapes of the outputs of S samples, `{name: (S, ...)}`, allow for the classes of the spec.

    Raises:
        UserError: There is none.
    """
    readings = [how for how in _possible(outputs) if _has_classes(outputs, how, spec)]
    if not readings:
        raise _unreadable(spec, outputs)
    return readings


def masks_read_as(how: SegmentationOutput) -> str:
    """How the masks were read, in words: `'output' was read as scores [N, classes, H, W]`."""
    return f"'{how.scores}' was read as scores {'[N, H, W, classes]' if how.channels_last else '[N, classes, H, W]'}"


def _note(best: MaskReading) -> str:
    return f"{masks_read_as(best.how)}: miou {best.overlap:.3f} on the first samples"


def _unreadable(spec: ModelSpec, outputs: Feed) -> UserError:
    shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in outputs.items())
    classes = f"{len(spec.labels)} classes" if spec.labels else "the classes of the masks"
    return UserError(
        f"No output of '{spec.name}' contains scores of {classes} for places of an image; per sample: {shapes}.",
        hint="Return real scores [N, classes, H, W] or [N, H, W, classes], before the argmax.",
    )


def _has_classes(outputs: Feed, how: SegmentationOutput, spec: ModelSpec) -> bool:
    """Whether the shape of the scores fits the classes of the spec, if it has any."""
    try:
        classes = class_count(outputs, how)
    except UserError:
        return False
    return not spec.labels or len(spec.labels) == classes


def _tried(spec: ModelSpec, how: SegmentationOutput, samples: Samples) -> MaskReading | None:
    """The reading with its quality; None if the masks contain other classes."""
    try:
        overlap = miou(samples.expected, samples, structs.replace(spec, postprocessing=how))
    except UserError:
        return None
    return MaskReading(how, overlap(np.arange(len(samples))))


def _possible(outputs: Feed) -> Iterator[SegmentationOutput]:
    """Every reading of the outputs with real numbers; of equal ones the first counts, classes before places."""
    for name, array in outputs.items():
        if array.dtype.kind == "f" and array.ndim >= _SCORES:
            yield _separated(SegmentationOutput(name), array)
            if array.ndim > _SCORES:
                yield _separated(SegmentationOutput(name, channels_last=True), array)


def _separated(how: SegmentationOutput, scores: Array) -> SegmentationOutput:
    """The reading with what separates the classes of a single score: 0 for logits, the middle for probabilities."""
    is_single = scores.ndim == _SCORES or scores.shape[-1 if how.channels_last else -_SCORES] == 1
    are_probabilities = bool(scores.size) and float(scores.min()) >= 0 and float(scores.max()) <= 1
    return structs.replace(how, threshold=_MIDDLE) if is_single and are_probabilities else how
