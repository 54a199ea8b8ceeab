"""How a user's detector writes its boxes: the reading that finds the labelled objects in the reference outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, get_args

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import Corners, DetectionOutput, Unit
from edgekit.runtime.detection import OBJECTS, map50

# Samples on which the readings are compared.
_TRIED: Final = 50
_BOX: Final = 4
# A reading is only as good as chance below this.
_FOUND: Final = 0.05


class Reading(NamedTuple):
    """A reading of the outputs, and the mean average precision that the reference has with it."""

    how: DetectionOutput
    precision: float


def with_detector_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and a note of it; unchanged for other tasks and where it is known.

    Args:
        samples: With objects and the reference outputs.

    Raises:
        UserError: No outputs have the shapes of boxes and scores of these classes.
    """
    if OBJECTS not in samples.targets or isinstance(spec.postprocessing, DetectionOutput):
        return spec, ()
    first = samples.take(slice(0, _TRIED))
    readings = [_tried(spec, how, first) for how in possible_boxes(samples.expected, spec)]
    best = max(readings, key=lambda one: one.precision)
    return structs.replace(spec, postprocessing=best.how), (_note(best, spec),)


def boxes_read_as(how: DetectionOutput) -> str:
    """How the boxes were read, in words: `'output' was read as boxes cxcywh in pixels`."""
    of = f"'{how.boxes}'" if how.boxes == how.scores else f"'{how.boxes}' and '{how.scores}'"
    verb = "was" if how.boxes == how.scores else "were"
    return f"{of} {verb} read as boxes {how.corners} in {'pixels' if how.unit == 'pixels' else 'shares of the image'}"


def _note(best: Reading, spec: ModelSpec) -> str:
    read = boxes_read_as(best.how)
    if best.precision >= _FOUND:
        return f"{read}: map50 {best.precision:.3f} on the first samples"
    return (
        f"{read}, but no reading finds the objects (map50 {best.precision:.3f}): weights, preprocessing, or the order "
        f"of the {len(spec.labels)} classes may be wrong"
    )


def _tried(spec: ModelSpec, how: DetectionOutput, samples: Samples) -> Reading:
    try:
        precision = map50(samples.expected, samples, structs.replace(spec, postprocessing=how))
    except UserError:
        return Reading(how, -1.0)
    return Reading(how, precision(np.arange(len(samples))))


def possible_boxes(outputs: Feed, spec: ModelSpec) -> list[DetectionOutput]:
    """Every reading that the shapes of the outputs of S samples, `{name: (S, ...)}`, allow for the classes of the spec.

    Raises:
        UserError: There is none.
    """
    readings = list(_possible(outputs, len(spec.labels)))
    if not readings:
        shapes = ", ".join(f"{name} {list(array.shape[1:])}" for name, array in outputs.items())
        raise UserError(
            f"No outputs of '{spec.name}' are boxes with scores of {len(spec.labels)} classes; per sample: {shapes}.",
            hint="Return boxes [N, A, 4] and scores [N, A, classes], before overlapping boxes are removed.",
        )
    return readings


def _possible(outputs: Feed, classes: int) -> Iterator[DetectionOutput]:
    for form in _forms(outputs, classes):
        scores = outputs[form.scores]
        for corners in get_args(Corners):
            for unit in get_args(Unit):
                yield structs.replace(form, corners=corners, unit=unit, logits=_are_logits(scores, form))


def _forms(outputs: Feed, classes: int) -> Iterator[DetectionOutput]:
    """Where boxes and scores are: in one output or two, candidates on the second or the third axis."""
    shapes = {name: array.shape[-2:] for name, array in outputs.items() if array.ndim > 2 and array.dtype.kind in "fiu"}
    for axis, channels_first in ((1, False), (0, True)):
        boxes = [name for name, shape in shapes.items() if shape[axis] == _BOX]
        pairs = [(name, name, shape[axis] - _BOX) for name, shape in shapes.items()]
        pairs += [
            (box, name, shape[axis])
            for box in boxes
            for name, shape in shapes.items()
            if name != box and shape[1 - axis] == shapes[box][1 - axis]
        ]
        for box, name, width in pairs:
            plain = DetectionOutput(box, name, channels_first=channels_first)
            if width == classes:
                yield plain
            if width == classes + 1:
                # Of readings that find as much the first counts: a score of any object is usual in one output.
                objectness, background = (
                    structs.replace(plain, objectness=True),
                    structs.replace(plain, background=True),
                )
                yield from (objectness, background) if box == name else (background, objectness)


def _are_logits(scores: Array, form: DetectionOutput) -> bool:
    """Whether scores are before the sigmoid: some lie outside of 0 to 1."""
    rows = scores.swapaxes(-1, -2) if form.channels_first else scores
    values = np.asarray(rows[..., _BOX:] if form.boxes == form.scores else rows, np.float64)
    return bool(values.size) and not (values.min() >= 0 and values.max() <= 1)
