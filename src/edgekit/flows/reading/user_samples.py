"""A user's samples, matched with a model: every problem is reported at once, with the command that fixes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import TARGET, Array, Feed, Samples, part_of
from edgekit.core.spec.input_kinds import ArrayInput, ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.statistics.keypoint_accuracy import COCO_SIGMAS
from edgekit.core.system.optional import need
from edgekit.flows.reading.class_labels import Labelled, LabelProblem, labelled
from edgekit.flows.reading.held import UNNAMED, Held, label_name, named
from edgekit.flows.reading.one_at_a_time import one_at_a_time
from edgekit.flows.reading.sample_problems import sample_problems, shape_fits, wanted_shape
from edgekit.runtime.detection import DETECTION, OBJECTS
from edgekit.runtime.preprocessing import image_tensor, prepared
from edgekit.runtime.segmentation import MASK, SEGMENTATION
from edgekit.runtime.tasks.keypoints import KEYPOINTS, true_points
from edgekit.runtime.tasks.transcripts import TRANSCRIPTION, has_texts, true_texts
from edgekit.runtime.tasks.translations import TRANSLATION

ValuesOf = Callable[[Array, str], Array]
_CHANNELS_LAST: Final = (0, 3, 1, 2)
_CHANNELS_FIRST: Final = (0, 2, 3, 1)


@dataclass(frozen=True)
class UserModel:
    """A user's model as far as its samples describe it, and the samples; `came_from` is what they are called."""

    spec: ModelSpec
    samples: Samples
    came_from: str
    warnings: tuple[str, ...] = ()


def with_samples(spec: ModelSpec, held: Held, values_of: ValuesOf | None = None) -> UserModel:
    """The model with the samples of `held`, and with the class names and the preprocessing that they bring.

    Args:
        values_of: What an array means that is given for the input of a name, where it is not the values.

    Raises:
        UserError: All problems at once: names, shapes, dtypes, values that are not finite or out of range, labels that
            are none, or no samples. The hint repairs the file where a transposition or an axis is all it lacks.
    """
    inputs = [tensor.name for tensor in spec.inputs]
    name, arrays = label_name(held, inputs), _with_preprocessing(named(held, spec), spec)
    targets = {f"{TARGET}{output}": array for output, array in part_of(held.arrays, TARGET).items()}
    arrays = one_at_a_time(_with_batches_of_one({**arrays, **targets}, spec), spec)
    if values_of is not None:
        arrays = {given: values_of(array, given) for given, array in arrays.items()}
    problems, hint = sample_problems(arrays, spec, {} if name is None else {name: held.arrays[name]}), ""
    found = Labelled(None)
    if name is not None and problems and any(given not in arrays for given in inputs):
        problems.append(f"'{name}' is not an input of the model: it is read as the labels.")
    if name is not None and not problems:
        try:
            found = _fitting_labels(labelled(held.arrays[name], name, spec.labels), held, spec, name)
        except LabelProblem as err:
            problems, hint = [str(err)], err.hint
    if problems:
        raise _unfitting(held, arrays, spec, problems, hint)
    values = {tensor.name: arrays[tensor.name].astype(tensor.dtype, copy=False) for tensor in spec.inputs}
    meant = part_of(arrays, TARGET) | ({} if found.target is None else {UNNAMED: found.target})
    meant |= {} if found.marks is None else {MULTI_LABEL: found.marks}
    spec = _described(spec, held, found.class_names)
    return UserModel(spec, Samples(values, found.labels, meant), held.path.name or str(held.path), held.warnings)


def completed(spec: ModelSpec, samples: Samples, task: str = "") -> ModelSpec:
    """`spec` with the task that the samples imply, unless the user named one, and the range that they span."""
    inputs = tuple(_spanning(tensor, samples.inputs[tensor.name]) for tensor in spec.inputs)
    if OBJECTS in samples.targets:
        return msgspec.structs.replace(spec, inputs=inputs, task=task or DETECTION, metric=Metric("map50"))
    if MASK in samples.targets and (task == SEGMENTATION or (not task and samples.targets[MASK].dtype.kind in "iu")):
        return msgspec.structs.replace(spec, inputs=inputs, task=SEGMENTATION, metric=Metric("miou"))
    if MULTI_LABEL in samples.targets and task in ("", MULTI_LABEL, "classification"):
        return msgspec.structs.replace(spec, inputs=inputs, task=MULTI_LABEL, metric=Metric("macro_ap"))
    if has_texts(samples) and task in ("", TRANSCRIPTION):
        # Texts of one word each say little in words.
        name = "wer" if any(" " in text.strip() for text in true_texts(samples)) else "cer"
        return msgspec.structs.replace(spec, inputs=inputs, task=TRANSCRIPTION, metric=Metric(name))
    if has_texts(samples) and task == TRANSLATION:
        return msgspec.structs.replace(spec, inputs=inputs, metric=Metric("corpus_bleu"))
    if KEYPOINTS in samples.targets and task in ("", KEYPOINTS):
        name = "oks_ap" if true_points(samples).shape[1] == len(COCO_SIGMAS) else "pck"
        return msgspec.structs.replace(spec, inputs=inputs, task=KEYPOINTS, metric=Metric(name))
    implied = "classification" if samples.labels is not None else "regression" if samples.targets else "other"
    return msgspec.structs.replace(spec, inputs=inputs, task=task or implied)


def _spanning(tensor: TensorSpec, array: Array) -> TensorSpec:
    if tensor.dtype == "str":
        return tensor
    return msgspec.structs.replace(tensor, low=float(array.min()), high=float(array.max()))


def _described(spec: ModelSpec, held: Held, class_names: tuple[str, ...]) -> ModelSpec:
    """`spec` with what the samples say where it says nothing itself."""
    how = spec.preprocessing
    if isinstance(how, ArrayInput) and held.preprocessing is not None:
        how = held.preprocessing
    labels = spec.labels or class_names or held.class_names
    return msgspec.structs.replace(spec, labels=labels, preprocessing=how)


def _fitting_labels(found: Labelled, held: Held, spec: ModelSpec, name: str) -> Labelled:
    names = spec.labels or held.class_names
    if found.labels is not None and names and found.labels.max() >= len(names):
        classes = f"the model has classes 0 to {len(names) - 1}"
        raise LabelProblem(f"'{name}' contains class {found.labels.max()}; {classes}.")
    return found


def _with_preprocessing(arrays: Feed, spec: ModelSpec) -> Feed:
    """Pixels (S, H, W, C) of a model whose preprocessing is known, as its inputs; all other arrays as they are."""
    how = spec.preprocessing
    if not isinstance(how, ImageInput):
        return arrays
    return {name: _image_values(array, how) if _are_pixels(array, how) else array for name, array in arrays.items()}


def _image_values(pixels: Array, how: ImageInput) -> Array:
    """Inputs (S, ...) from pixels (S, H, W, C) or (S, H, W) of any size."""
    image = need("PIL.Image", extra="images")
    return np.concatenate([image_tensor(prepared(image.fromarray(one.squeeze()), how), how) for one in pixels])


def _are_pixels(array: Array, how: ImageInput) -> bool:
    last = array.shape[3:] == (how.channels,)
    return array.dtype == np.uint8 and (last or (array.ndim == 3 and how.channels == 1))


def _unfitting(held: Held, arrays: Feed, spec: ModelSpec, problems: Sequence[str], hint: str) -> UserError:
    listing = "".join(f"\n  {problem}" for problem in problems)
    wanted = " ".join(f"{tensor.name}=array of {tensor.dtype}" for tensor in spec.inputs)
    hint = hint or _mending(held, arrays, spec) or f"numpy.savez(FILE, {wanted}, label=...)"
    return UserError(f"Samples '{held.path}' do not fit the model:{listing}", hint=hint)


def _mending(held: Held, arrays: Feed, spec: ModelSpec) -> str:
    """The command that mends the file, where its arrays lack nothing but an axis or an order of axes."""
    steps = [_step(arrays[tensor.name], tensor, spec) for tensor in spec.inputs if tensor.name in arrays]
    if not any(steps) or held.path.suffix != ".npz":
        return ""
    names = [tensor.name for tensor in spec.inputs if tensor.name in arrays]
    changes = "; ".join(f"d['{name}'] = d['{name}']{step}" for name, step in zip(names, steps, strict=True) if step)
    out = held.path.with_name(f"{held.path.stem}-fitted.npz")
    return f"python -c \"import numpy; d = dict(numpy.load('{held.path}')); {changes}; numpy.savez('{out}', **d)\""


def _step(array: Array, tensor: TensorSpec, spec: ModelSpec) -> str:
    wanted = wanted_shape(tensor, batched=spec.batch_axis is not None)
    if shape_fits(array.shape[1:], wanted):
        return ""
    for order in (_CHANNELS_LAST, _CHANNELS_FIRST):
        if array.ndim == len(order) and shape_fits(array.transpose(order).shape[1:], wanted):
            return f".transpose{order}"
    return "[None]" if shape_fits(array.shape, wanted) else ""


def _with_batches_of_one(arrays: Feed, spec: ModelSpec) -> Feed:
    """Rows of samples for a model with a fixed batch of 1: each gets the axis that it lacks."""
    lacking = {
        tensor.name
        for tensor in spec.inputs
        if spec.batch_axis is None and tensor.shape[:1] == (1,) and _rank_of(arrays, tensor) == len(tensor.shape)
    }
    grown = {name: array[:, None] for name, array in arrays.items() if name in lacking or name.startswith(TARGET)}
    return {**arrays, **grown} if lacking else arrays


def _rank_of(arrays: Feed, tensor: TensorSpec) -> int | None:
    return arrays[tensor.name].ndim if tensor.name in arrays else None
