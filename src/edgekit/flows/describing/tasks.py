"""The tasks that `run` reads in the outputs of a bare file, and the form that shapes and values leave of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from edgekit.core.errors import UserError, unknown
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL, DetectionOutput, Postprocessing, SegmentationOutput
from edgekit.core.spec.tensor_spec import Axis
from edgekit.export.checking.tasks.detector_forms import boxes_read_as
from edgekit.export.checking.tasks.segmentation_forms import masks_read_as, possible_masks
from edgekit.export.checking.tasks.unlabelled_boxes import BOX_WORDS, left_boxes, words_of
from edgekit.flows.describing.description import Description
from edgekit.flows.reading.coco import COCO_SUFFIX, category_names
from edgekit.flows.reading.sample_files import label_names
from edgekit.runtime.detection import DETECTION
from edgekit.runtime.segmentation import SEGMENTATION

CLASSIFICATION: Final = "classification"
TASKS: Final = (CLASSIFICATION, DETECTION, SEGMENTATION)
# Their forms differ in what no shape and no value shows, such as the order of x and y.
_NEED_SAMPLES: Final = (MULTI_LABEL, "regression", "keypoints", "transcription", "translation")
_IN_ORDER: Final = "--labels FILE with one class per line, in the order of the scores"


def with_task(spec: ModelSpec, said: Description, path: Path) -> ModelSpec:
    """`spec` with the task and the names of the classes; of its outputs only the kind is known before the file ran.

    Raises:
        UserError: A task that needs labelled samples, no names, or another number of them than the file has classes.
    """
    task = said.task or (CLASSIFICATION if said.labels else "")
    if said.boxes and task != DETECTION:
        raise UserError("--boxes describes the boxes of a detector.", hint=f"--task {DETECTION} --boxes {said.boxes}")
    _words(said)
    if not task:
        return spec
    if task in _NEED_SAMPLES:
        message = f"How the outputs of '{path}' contain {task} is found with labelled samples."
        raise UserError(message, hint=f"edgekit build {path} --task {task} --samples PATH")
    if task not in TASKS:
        raise unknown("task", task, TASKS)
    if said.labels is None:
        raise UserError(f"--task {task} needs the names of the classes.", hint=_IN_ORDER)
    names = _names(said.labels)
    if task == CLASSIFICATION:
        _refuse_other_count(names, said.labels, spec, path)
    return structs.replace(spec, task=task, labels=names, postprocessing=_kind(task, spec))


def with_form_of(
    spec: ModelSpec, outputs: Sequence[Feed], said: Description, path: Path
) -> tuple[ModelSpec, tuple[str, ...]]:
    """`spec` with the form of its outputs, and a note of it; see `with_reading`."""
    if isinstance(spec.postprocessing, DetectionOutput):
        boxes = _one_of(left_boxes(spec, outputs, _words(said)), spec, path)
        return structs.replace(spec, postprocessing=boxes), (boxes_read_as(boxes),)
    if isinstance(spec.postprocessing, SegmentationOutput):
        # Of several outputs, as networks have them for training, the first counts.
        first, *others = possible_masks(outputs[0], spec)
        if any(one.scores == first.scores for one in others):
            message = f"'{first.scores}' {list(outputs[0][first.scores].shape)} may have its {len(spec.labels)} classes"
            command = f"edgekit build {path} --task {SEGMENTATION} --samples FOLDER --labels FOLDER"
            raise UserError(f"{message} on two axes.", hint=command)
        return structs.replace(spec, postprocessing=first), (masks_read_as(first),)
    if spec.task == CLASSIFICATION:
        _refuse_other_scores(spec, outputs, path)
    return spec, ()


def _one_of(left: Sequence[DetectionOutput], spec: ModelSpec, path: Path) -> DetectionOutput:
    """The reading that is left; of several that differ only in the outputs or axes that they take, the first."""
    ways = {frozenset(words_of(how)): how for how in reversed(left)}
    if len(ways) == 1:
        return left[0]
    if not left:
        message = f"No reading of '{path}' as {len(spec.labels)} classes puts its boxes into the image"
        raise UserError(
            f"{message}: the preprocessing or the number of classes may be wrong.",
            hint=f"--boxes WORDS, of {', '.join(BOX_WORDS)}; to find them, {_finding(path)}",
        )
    common = frozenset.intersection(*ways)
    choices = dict.fromkeys(",".join(word for word in BOX_WORDS if word in words_of(how) - common) for how in left)
    raise UserError(
        f"The values of '{path}' do not show how it writes its boxes: {' or '.join(filter(None, choices))}.",
        hint=f"--boxes {next(filter(None, choices))}, or what its authors say; to find it, {_finding(path)}",
    )


def _finding(path: Path) -> str:
    """The command that says how boxes are written, by labelled objects."""
    return f"edgekit validate {path} --task {DETECTION} --samples FOLDER --labels FILE.json"


def _words(said: Description) -> tuple[str, ...]:
    """The words of `--boxes`."""
    words = tuple(word.strip() for word in said.boxes.split(",") if word.strip())
    for word in words:
        if word not in BOX_WORDS:
            raise unknown("word for boxes", word, BOX_WORDS)
    return words


def _kind(task: str, spec: ModelSpec) -> Postprocessing | None:
    """What the outputs contain, without its form."""
    first = spec.outputs[0].name
    kinds: dict[str, Postprocessing] = {
        DETECTION: DetectionOutput(first, first),
        SEGMENTATION: SegmentationOutput(first),
    }
    return kinds.get(task)


def _names(labels: Path) -> tuple[str, ...]:
    names = category_names(labels) if labels.suffix.lower() == COCO_SUFFIX else label_names(labels)
    if not names:
        raise UserError(f"'{labels}' contains no class names.", hint="One name per line, in the order of the classes.")
    return names


def _refuse_other_count(names: Sequence[str], labels: Path, spec: ModelSpec, path: Path) -> None:
    """Raise unless the first output can be scores of this many classes."""
    count = _classes(spec.outputs[0].shape)
    if count is None or not (isinstance(count, str) or count == len(names)):
        message = f"'{labels}' names {len(names)} classes; the first output of '{path}' is '{spec.outputs[0]}'."
        every = f"Name all {count} classes" if isinstance(count, int) and count > 1 else "Name every class"
        raise UserError(message, hint=f"{every} in '{labels}', or omit --labels.")


def _refuse_other_scores(spec: ModelSpec, outputs: Sequence[Feed], path: Path) -> None:
    """Raise unless the first output has a score for each class: a file may not say how many there are."""
    name = spec.outputs[0].name
    for feed in outputs:
        shape = feed[name].shape
        if _classes(shape) != len(spec.labels):
            message = f"There are {len(spec.labels)} class names, but the first output '{name}' of '{path}' has"
            raise UserError(f"{message} the shape {list(shape)}.", hint=_IN_ORDER)


def _classes(shape: Sequence[Axis]) -> Axis | None:
    """The axis of an output with the scores of a sample; None if it has several, as those of the places of a mask.

    Convolutions at the end leave axes of 1: (N, K, 1, 1).
    """
    kept = list(shape) if len(shape) == 1 else [axis for axis in shape[1:] if axis != 1]
    return kept[0] if len(kept) == 1 else None
