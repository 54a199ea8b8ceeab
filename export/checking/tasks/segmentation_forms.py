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
    readings = [one for how in _possible(few.expected) if (one := _tried(spec, how, few)) is not None]
    if not readings:
        shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in samples.expected.items())
        classes = f"{len(spec.labels)} classes" if spec.labels else "the classes of the masks"
        raise UserError(
            f"No output of '{spec.name}' contains scores of {classes} for places of an image; per sample: {shapes}.",
            hint="Return real scores [N, classes, H, W] or [N, H, W, classes], before the argmax.",
        )
    best = max(readings, key=lambda one: one.overlap)
    return structs.replace(spec, postprocessing=best.how), (_note(best),)


def _note(best: MaskReading) -> str:
    axes = "[N, H, W, classes]" if best.how.channels_last else "[N, classes, H, W]"
    return f"'{best.how.scores}' was read as scores {axes}: miou {best.overlap:.3f} on the first samples"


def _tried(spec: ModelSpec, how: SegmentationOutput, samples: Samples) -> MaskReading | None:
    """The reading with its quality; None if the shapes do not fit the classes."""
    try:
        classes = class_count(samples.expected, how)
        if spec.labels and len(spec.labels) != classes:
            return None
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
