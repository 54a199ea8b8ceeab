"""Turns an input file into a feed, and outputs into class scores, as the ModelSpec describes."""

from __future__ import annotations

import shlex
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, read_array, read_arrays
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import LabelsOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import read_bytes
from edgekit.core.system.optional import need
from edgekit.runtime.readers import fitted, read_rows, read_wav, tokens, words

IMAGE_SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".pgm", ".ppm", ".gif", ".webp")
TOP: Final = 5
WHITE: Final = 255.0
# The sigmoid of more is 1 in float64, and its exponential does not overflow.
_LARGEST_LOGIT: Final = 500.0
# What a 16-bit wav file stands for: -1 to 1.
_FULL_SCALE: Final = np.float32(32768)


def read_input(path: Path, spec: ModelSpec) -> Feed:
    """The feed for one sample, batch axis included.

    Args:
        path: An image for a model with ImageInput, a wav file for AudioInput, a text file for TextInput, a csv file
            for SeriesInput; otherwise `.npy` (one input) or `.npz` (one array per input name), with or without the
            batch axis.

    Raises:
        UserError: The file is missing or does not fit the model.
    """
    if path.is_dir():
        raise UserError(f"'{path}' is a folder; an input is one file.", hint=_first_file(path))
    if not path.is_file():
        raise UserError(f"Input file '{path}' does not exist.")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return _image_feed(path, spec)
    made = _made(path, spec)
    if made is not None:
        return {spec.inputs[0].name: made[None]}
    if path.suffix == ".npz":
        arrays = read_arrays(path, UserError)
        return {tensor.name: as_input(_named(arrays, tensor.name, path), tensor, path) for tensor in spec.inputs}
    if path.suffix == ".npy" and len(spec.inputs) == 1:
        return {spec.inputs[0].name: as_input(read_array(path), spec.inputs[0], path)}
    raise UserError(f"'{path}' is not an input for '{spec.name}': expected {_kind(spec)}, .npy or .npz.")


def _first_file(folder: Path) -> str:
    """An option with a file of the folder; empty if it has none."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return shlex.join(["--input", str(files[0])]) if files else ""


def integers_as_reals(feed: Feed, inputs: Sequence[TensorSpec], quantized: Container[str]) -> Feed:
    """`feed` for the inputs of a session: integers for a float input that is not quantized are real numbers."""
    kinds = {tensor.name: tensor.dtype for tensor in inputs if tensor.name not in quantized and "float" in tensor.dtype}
    return {
        name: array.astype(kinds[name]) if name in kinds and array.dtype.kind in "iu" else array
        for name, array in feed.items()
    }


def read_sentence(text: str, spec: ModelSpec) -> Feed | None:
    """The feed for a sentence as it was typed; None for models that do not take text."""
    if not isinstance(spec.preprocessing, TextInput):
        return None
    return {spec.inputs[0].name: tokens(words(text), spec.preprocessing)[None]}


def _made(path: Path, spec: ModelSpec) -> NDArray[Any] | None:
    """The input of one example without its batch axis, for files that the spec says how to read; None for arrays."""
    how = spec.preprocessing
    if isinstance(how, AudioInput) and path.suffix.lower() == ".wav":
        return _sound(fitted(read_wav(read_bytes(path), str(path), rate=how.rate), how.length), spec)
    if isinstance(how, TextInput) and path.suffix.lower() == ".txt":
        return tokens(words(read_bytes(path).decode("utf-8", errors="replace")), how)
    if isinstance(how, SeriesInput) and path.suffix.lower() == ".csv":
        return read_rows(path, how)
    return None


def _kind(spec: ModelSpec) -> str:
    kinds = {AudioInput: "a .wav", TextInput: "a .txt", SeriesInput: "a .csv"}
    return kinds.get(type(spec.preprocessing), "an image")


def class_scores(outputs: Feed, spec: ModelSpec) -> list[tuple[str, float]]:
    """The most likely classes of one sample with their probabilities, best first.

    Empty for other tasks, and for the outputs of several samples at once.

    The first output contains logits of shape (1, K), or probabilities: if the spec says so by its range, or if they
    sum to 1. A network of labels on their own has a probability for each, and with a single score for two classes.
    """
    if not spec.scores_classes:
        return []
    how = spec.postprocessing
    labelled = how if isinstance(how, LabelsOutput) and how.scores in outputs else None
    found = outputs[labelled.scores] if labelled else next(iter(outputs.values()))
    if found.ndim > 1 and len(found) > 1:
        return []
    scores = found.reshape(-1).astype(np.float64)
    # Those of int8 files sum to a step more or less than 1.
    is_probability = bool(spec.outputs) and (spec.outputs[0].low, spec.outputs[0].high) == (0.0, 1.0)
    if labelled is not None:
        scores = _label_probabilities(scores, labelled)
    elif not is_probability and (scores.min() < 0 or abs(scores.sum() - 1) > 1e-3):
        scores = np.exp(scores - scores.max())
        scores /= scores.sum()
    best = np.argsort(-scores)[:TOP]
    return [(spec.labels[index] if index < len(spec.labels) else str(index), float(scores[index])) for index in best]


def _label_probabilities(scores: NDArray[np.float64], how: LabelsOutput) -> NDArray[np.float64]:
    """The probability of each label, or of both classes where there is one score."""
    found = 1 / (1 + np.exp(-np.clip(scores, -_LARGEST_LOGIT, _LARGEST_LOGIT))) if how.logits else scores
    return np.array([1 - found[0], found[0]]) if len(found) == 1 else found


def _image_feed(path: Path, spec: ModelSpec) -> Feed:
    if not isinstance(spec.preprocessing, ImageInput):
        raise UserError(f"'{path}' is an image, but '{spec.name}' takes arrays.", hint="numpy.save('input.npy', array)")
    return _pixel_feed(read_pixels(path, spec.preprocessing), spec, spec.preprocessing)


def image_feed(image: Any, spec: ModelSpec) -> Feed:
    """The feed for a Pillow image, for a model with ImageInput."""
    assert isinstance(spec.preprocessing, ImageInput)
    return _pixel_feed(prepared(image, spec.preprocessing), spec, spec.preprocessing)


def prepared_array(array: NDArray[np.uint8], spec: ModelSpec) -> Feed:
    """The feed for RGB or grey pixels of shape (H, W) or (H, W, C), as a camera gives them.

    Raises:
        UserError: More colours than three.
    """
    if array.ndim > 2 and array.shape[2] not in (1, 3):
        raise UserError(f"An image of shape {array.shape} is neither (H, W) nor (H, W, 3).")
    flat = array[..., 0] if array.ndim > 2 and array.shape[2] == 1 else array
    return image_feed(need("PIL.Image", extra="images").fromarray(flat), spec)


def signal_feed(signal: NDArray[Any], spec: ModelSpec) -> Feed:
    """The feed for a mono sound of shape (samples,) at the model's rate: -1 to 1, or the integers of a wav file.

    Raises:
        UserError: Neither int16 nor floats.
    """
    how = spec.preprocessing
    assert isinstance(how, AudioInput)
    if signal.dtype != np.int16 and signal.dtype.kind != "f":
        raise UserError(f"A sound has dtype {signal.dtype}, expected float32 or int16.")
    real = signal.astype(np.float32) / (_FULL_SCALE if signal.dtype == np.int16 else np.float32(1))
    return {spec.inputs[0].name: _sound(fitted(real, how.length), spec)[None]}


def _sound(signal: NDArray[np.float32], spec: ModelSpec) -> NDArray[Any]:
    return (signal * _FULL_SCALE).astype(np.int16) if is_raw(spec) else signal


def _pixel_feed(pixels: NDArray[np.uint8], spec: ModelSpec, how: ImageInput) -> Feed:
    return {spec.inputs[0].name: pixels[None] if is_raw(spec) else image_tensor(pixels, how)}


def is_raw(spec: ModelSpec) -> bool:
    """True for a model that contains its preprocessing: it takes pixels (N, H, W, C) or the values of a wav file."""
    kinds = {ImageInput: "uint8", AudioInput: "int16"}
    return len(spec.inputs) == 1 and spec.inputs[0].dtype == kinds.get(type(spec.preprocessing))


def image_tensor(pixels: NDArray[np.uint8], how: ImageInput) -> NDArray[np.float32]:
    """RGB pixels of shape (H, W, C), 0 to 255, as the model's input of shape (1, C, H, W) or (1, H, W, C)."""
    scaled = pixels.astype(np.float32) / np.float32(how.divisor)
    scaled = np.float32(WHITE / how.divisor) - scaled if how.invert else scaled
    ordered = scaled[..., ::-1] if how.color == "bgr" else scaled
    mean, std = np.asarray(how.mean, np.float32), np.asarray(how.std, np.float32)
    value = (ordered - mean) / std
    return np.ascontiguousarray((value if how.layout == "nhwc" else value.transpose(2, 0, 1))[None])


def pixels_of(tensor: NDArray[Any], how: ImageInput) -> NDArray[np.uint8]:
    """The pixels (H, W, C) that became the input (C, H, W) or (H, W, C) by `image_tensor`; RGB, or grey."""
    ordered = np.asarray(tensor, np.float64)
    ordered = ordered if how.layout == "nhwc" else ordered.transpose(1, 2, 0)
    scaled = ordered * np.asarray(how.std) + np.asarray(how.mean)
    scaled = scaled[..., ::-1] if how.color == "bgr" else scaled
    scaled = WHITE / how.divisor - scaled if how.invert else scaled
    return np.asarray(np.clip(np.round(scaled * how.divisor), 0, WHITE), np.uint8)


def read_pixels(path: Path, how: ImageInput) -> NDArray[np.uint8]:
    """The pixels of an image file, resized and cut, of shape (H, W, C): RGB, or grey for one channel.

    Pillow's resizing averages all pixels that fall into one (antialias), as that of torchvision does for images.

    Raises:
        UserError: Not an image.
    """
    image_module = need("PIL.Image", extra="images")
    try:
        with image_module.open(path) as image:
            return prepared(image, how)
    # A damaged image makes Pillow raise a dozen classes, among them that of an image that is too large.
    except Exception as err:
        raise UserError(f"Cannot read '{path}' as an image: {err}.") from err


def prepared(image: Any, how: ImageInput) -> NDArray[np.uint8]:
    """The pixels of a Pillow image, resized and cut, of shape (H, W, C)."""
    image_module = need("PIL.Image", extra="images")
    whole = image.convert("L" if how.channels == 1 else "RGB")
    resampling = image_module.Resampling[how.interpolation.upper()]
    resized = whole.resize(resized_to(whole.size, how), resampling)
    fitted = _cut(resized, how) if how.letterbox is None else _framed(resized, how, how.letterbox)
    return np.asarray(fitted, np.uint8).reshape(how.height, how.width, how.channels)


def resized_to(size: tuple[int, int], how: ImageInput) -> tuple[int, int]:
    """Width and height to which an image of `size` (width, height) is resized before it is cut."""
    if how.letterbox is not None:
        factor = min(how.width / size[0], how.height / size[1])
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    if not how.resize:
        return how.width, how.height
    if len(how.resize) > 1:
        return how.resize[1], how.resize[0]
    (short,), (width, height) = how.resize, size
    # torchvision truncates the longer side.
    return (short, int(short * height / width)) if width <= height else (int(short * width / height), short)


def cut_from(size: tuple[int, int], how: ImageInput) -> tuple[int, int]:
    """The left upper corner of the centre that is cut from a resized image of `size` (width, height).

    Negative where the image is smaller. Of an odd border, the larger half is on the right and below, as in detectors
    that are trained with letterboxes.
    """
    if how.letterbox is not None:
        return -((how.width - size[0]) // 2), -((how.height - size[1]) // 2)
    left, top = (round((have - want) / 2) for have, want in zip(size, (how.width, how.height), strict=True))
    return left, top


def _framed(image: Any, how: ImageInput, level: int) -> Any:
    """The whole image in the middle of a grey level."""
    left, top = cut_from(image.size, how)
    frame = need("PIL.Image", extra="images").new(image.mode, (how.width, how.height), (level,) * how.channels)
    frame.paste(image, (-left, -top))
    return frame


def _cut(image: Any, how: ImageInput) -> Any:
    """The centre of an image; what lies outside of a smaller one is black, as in torchvision."""
    left, top = cut_from(image.size, how)
    return image.crop((left, top, left + how.width, top + how.height))


def _named(arrays: Feed, name: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise UserError(f"'{path}' does not contain an array '{name}'; it contains {', '.join(sorted(arrays))}.")
    return arrays[name]


def as_input(array: NDArray[Any], tensor: TensorSpec, name: str | Path) -> NDArray[Any]:
    """`array` with the batch axis and in the dtype of the input; no value becomes another.

    Integers for a float input stay integers: they are codes if the file is quantized, see `integers_as_reals`.

    Args:
        name: What errors call the array.

    Raises:
        UserError: It contains no samples, or values that the dtype of the input does not have.
    """
    if array.dtype == tensor.dtype and array.ndim == len(tensor.shape) and array.size:
        return array
    batched = array[None] if array.ndim == len(tensor.shape) - 1 else array
    if batched.ndim and len(batched) == 0:
        raise UserError(f"'{name}' contains no samples for '{tensor.name}': its shape is {batched.shape}.")
    if batched.dtype.kind in "iu" and "float" in tensor.dtype:
        return batched
    if not np.can_cast(batched.dtype, tensor.dtype, "same_kind"):
        raise UserError(f"'{name}' has dtype {batched.dtype} for '{tensor.name}', expected {tensor.dtype}.")
    cast = batched.astype(tensor.dtype, copy=False)
    if cast.dtype.kind in "iu" and not np.array_equal(cast, batched):
        raise UserError(f"'{name}' contains values for '{tensor.name}' outside the range of {tensor.dtype}.")
    return cast
