"""Outputs of a model in files: a curve, scores, objects, masks as csv or png, sentences as txt, or everything."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.reports.run import Answer, RunReport
from edgekit.core.samples import Feed, write_arrays
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import (
    DetectionOutput,
    ImageOutput,
    KeypointsOutput,
    SegmentationOutput,
    SeriesOutput,
)
from edgekit.core.system import documents
from edgekit.core.system.files import new_file, write_atomic
from edgekit.core.system.optional import need
from edgekit.flows.writing.drawn_masks import overlaid
from edgekit.flows.writing.drawn_objects import drawn
from edgekit.flows.writing.drawn_points import with_points
from edgekit.runtime.postprocessing import pixels, returns_text
from edgekit.runtime.prediction import Prediction, size_of
from edgekit.runtime.preprocessing import IMAGE_SUFFIXES, is_raw, pixels_of


class _Written(NamedTuple):
    """What is written, and where."""

    found: RunReport
    feeds: Sequence[Feed]
    outputs: Sequence[Feed]
    spec: ModelSpec
    path: Path


def refuse_output(path: Path, spec: ModelSpec) -> None:
    """Raise, before any work, for a file type that cannot store the outputs of this model.

    Raises:
        UserError: An unsuitable suffix; the message names the suitable ones.
        MissingExtra: The package that writes png is not installed.
    """
    fitting = [suffix for suffix, (fits, _) in _FORMS.items() if fits(spec)]
    if path.suffix.lower() not in fitting:
        raise UserError(f"'{path}' cannot store the outputs of '{spec.name}': expected {', '.join(fitting)}.")
    if path.suffix.lower() == ".png":
        need("PIL.Image", extra="images")


def write_answers(
    found: RunReport, feeds: Sequence[Feed], outputs: Sequence[Feed], spec: ModelSpec, path: Path
) -> None:
    """Write the outputs in the form that the suffix selects, completely or not at all.

    Args:
        feeds: The inputs, on which the objects that were found are drawn.

    Raises:
        UserError: An input has no prediction in that form, and its lines or rows would be missing.
    """
    _FORMS[path.suffix.lower()][1](_Written(found, feeds, outputs, spec, path))


def _json(one: _Written) -> None:
    write_atomic(one.path, documents.encode(one.found))


def _npz(one: _Written) -> None:
    """Every output by its name; of several inputs with the number of the input before it."""
    arrays = one.outputs[0] if len(one.outputs) == 1 else _numbered(one.outputs)
    with new_file(one.path) as temporary:
        write_arrays(temporary, arrays)


def _numbered(outputs: Sequence[Feed]) -> Feed:
    return {f"{row}:{name}": array for row, feed in enumerate(outputs) for name, array in feed.items()}


def _png(one: _Written) -> None:
    """The images of all inputs in one row: those that the model made, or its inputs with what it found in them."""
    made = [image for feed in one.outputs if (image := pixels(feed, one.spec)) is not None]
    images = made or _drawn(one)
    whole = need("PIL.Image", extra="images").fromarray(np.concatenate(images, axis=1))
    buffer = io.BytesIO()
    whole.save(buffer, format="png")
    write_atomic(one.path, buffer.getvalue())


def _drawn(one: _Written) -> list[NDArray[np.uint8]]:
    """The inputs with what was found in each."""
    shown = [image for feed in one.feeds for image in next(iter(feed.values()))]
    _refuse_unpaired(one, len(shown))
    how = one.spec.preprocessing
    if not isinstance(how, ImageInput):
        raise UserError(
            f"'{one.path}' cannot show the inputs: '{one.spec.name}' does not say how an image becomes one.",
            hint="--output FILE.csv",
        )
    raw = is_raw(one.spec)
    images = [np.asarray(image, np.uint8) if raw else pixels_of(image, how) for image in shown]
    if isinstance(one.spec.postprocessing, SegmentationOutput):
        return _level(
            [
                overlaid(image, mask, answer.mask or ())
                for image, mask, answer in zip(images, _masks(one), one.found.answers, strict=True)
            ]
        )
    photos = [_photo(answer.input, image) for image, answer in zip(images, one.found.answers, strict=True)]
    if isinstance(one.spec.postprocessing, KeypointsOutput):
        found = [
            with_points(photo, answer.points or ()) for photo, answer in zip(photos, one.found.answers, strict=True)
        ]
    else:
        found = [drawn(photo, answer.objects or ()) for photo, answer in zip(photos, one.found.answers, strict=True)]
    return _level(found)


def _photo(text: str, prepared: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels that the boxes or points of an input are in: those of its file, or else of the input of the model."""
    path = Path(text)
    if path.suffix.lower() not in IMAGE_SUFFIXES or not path.is_file():
        return prepared
    with need("PIL.Image", extra="images").open(path) as image:
        return np.asarray(image.convert("RGB"))


def _masks(one: _Written) -> Iterator[NDArray[np.uint8]]:
    """The mask of each sample."""
    rows = [
        {name: array[row : row + 1] for name, array in feed.items()}
        for feed in one.outputs
        for row in range(len(next(iter(feed.values()))))
    ]
    _refuse_unpaired(one, len(rows))
    for outputs, answer in zip(rows, one.found.answers, strict=True):
        mask = Prediction(outputs, one.spec, size_of(answer.input, one.spec)).mask
        assert mask is not None
        yield mask


def _refuse_unpaired(one: _Written, count: int) -> None:
    """Raise unless there are as many predictions as inputs, or as rows of the outputs, which a model may add."""
    if count != len(one.found.answers):
        raise UserError(f"'{one.path}' cannot show the inputs: there is not one prediction for each.")


def _level(images: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    """The images in one height, filled with white below."""
    height = max(len(image) for image in images)
    return [np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)), constant_values=255) for image in images]


def _txt(one: _Written) -> None:
    """A line an input: its sentence, or its likeliest class."""
    _refuse_missing(one, lambda answer: answer.text or answer.scores)
    lines = [answer.text or (answer.scores[0].label if answer.scores else "") for answer in one.found.answers]
    write_atomic(one.path, "".join(f"{line}\n" for line in lines).encode())


def _csv(one: _Written) -> None:
    _refuse_missing(one, lambda answer: answer.curve or answer.scores)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(_rows(one.found, one.spec))
    write_atomic(one.path, buffer.getvalue().encode())


def _refuse_missing(one: _Written, has: Callable[[Answer], object]) -> None:
    unread = (answer for answer in one.found.answers if not has(answer) and answer.objects is None)
    missing = next((answer.input for answer in unread if answer.mask is None and answer.points is None), None)
    # An empty sentence is an answer.
    if missing is not None and not returns_text(one.spec):
        raise UserError(
            f"The outputs of '{missing}' are not one prediction per sample, so '{one.path}' would lack it.",
            hint=f"--output {one.path.with_suffix('.npz')}",
        )


def _rows(found: RunReport, spec: ModelSpec) -> Iterator[tuple[object, ...]]:
    if isinstance(spec.postprocessing, SeriesOutput):
        yield "input", "seconds", spec.postprocessing.name
        for answer in found.answers:
            step_s, values = (answer.curve.step_s, answer.curve.values) if answer.curve else (0.0, ())
            yield from ((answer.input, step_s * place, value) for place, value in enumerate(values))
        return
    if isinstance(spec.postprocessing, DetectionOutput):
        yield "input", "label", "score", "x1", "y1", "x2", "y2"
        for answer in found.answers:
            yield from ((answer.input, one.label, one.score, *one.box) for one in answer.objects or ())
        return
    if isinstance(spec.postprocessing, KeypointsOutput):
        yield "input", "point", "x", "y", "score"
        for answer in found.answers:
            yield from ((answer.input, one.label, one.x, one.y, one.score) for one in answer.points or ())
        return
    if isinstance(spec.postprocessing, SegmentationOutput):
        yield "input", "class", "label", "share"
        for answer in found.answers:
            yield from ((answer.input, one.number, one.label, one.share) for one in answer.mask or ())
        return
    yield "input", "label", "probability"
    for answer in found.answers:
        yield from ((answer.input, score.label, score.probability) for score in answer.scores)


def _always(spec: ModelSpec) -> bool:
    return True


def _in_columns(spec: ModelSpec) -> bool:
    tables = SeriesOutput | DetectionOutput | SegmentationOutput | KeypointsOutput
    return isinstance(spec.postprocessing, tables) or spec.scores_classes


def _in_lines(spec: ModelSpec) -> bool:
    return returns_text(spec) or spec.scores_classes


def _in_pixels(spec: ModelSpec) -> bool:
    return isinstance(spec.postprocessing, ImageOutput | DetectionOutput | SegmentationOutput | KeypointsOutput)


# By suffix: the models whose answers it can hold, and what writes it.
_FORMS: Final[dict[str, tuple[Callable[[ModelSpec], bool], Callable[[_Written], None]]]] = {
    ".csv": (_in_columns, _csv),
    ".txt": (_in_lines, _txt),
    ".png": (_in_pixels, _png),
    ".json": (_always, _json),
    ".npz": (_always, _npz),
}
