"""From what a program has (an image, a path, an array, a sentence) to a feed, and from outputs to what a person reads.

`edgekit run` and `session.predict` share it: one input means the same in both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import (
    DetectionOutput,
    KeypointsOutput,
    SegmentationOutput,
    TextOutput,
    TokensOutput,
    TranscriptOutput,
)
from edgekit.runtime.portable.inputs import image_size
from edgekit.runtime.postprocessing import TOKENS, curve, pixels, sentence
from edgekit.runtime.preprocessing import (
    IMAGE_SUFFIXES,
    as_input,
    class_scores,
    image_feed,
    prepared_array,
    read_input,
    read_sentence,
    signal_feed,
)

if TYPE_CHECKING:
    from edgekit.runtime.detection import FoundObject
    from edgekit.runtime.segmentation import ClassShare
    from edgekit.runtime.tasks.keypoints import FoundPoint

# What ends like this is a file that is missing, not a sentence.
_FILES: Final = (".txt", ".npy", ".npz", ".csv", ".wav")
_GIVEN: Final = "the input"
_MEANINGS: Final = ("scores", "text", "curve", "objects", "points", "classes", "image")
# Height and width, and the colours of one image.
_IMAGE_AXES: Final = (2, 3)


class Prediction:
    """The outputs of one sample, and what they mean; each meaning is computed when it is read."""

    def __init__(self, outputs: Feed, spec: ModelSpec, size: tuple[int, int] | None = None) -> None:
        """`size` is the width and height of the image that was given, see `size_of`."""
        self.outputs = outputs
        self._spec = spec
        self._size = size

    def read(self) -> Prediction:
        """This prediction with every meaning computed, as a program needs it that shows or sends all of them."""
        for meaning in _MEANINGS:
            getattr(self, meaning)
        return self

    @cached_property
    def scores(self) -> tuple[tuple[str, float], ...]:
        """The five most probable classes with their probabilities, best first; empty for other tasks."""
        return () if TOKENS in self.outputs else tuple(class_scores(self.outputs, self._spec))

    @property
    def label(self) -> str:
        """The most probable class; empty for other tasks."""
        return self.scores[0][0] if self.scores else ""

    @cached_property
    def text(self) -> str:
        """The sentence of a model that generates text, or reads it from a sound or an image; empty for others."""
        how = self._spec.postprocessing
        if isinstance(how, TranscriptOutput):
            # It brings statistics into the process, which other models do not need.
            from edgekit.runtime.tasks.transcripts import transcript

            return transcript(self.outputs, self._spec)
        if isinstance(how, TokensOutput):
            from edgekit.runtime.tasks.translations import translation

            return translation(self.outputs, self._spec)
        written = isinstance(how, TextOutput) and TOKENS in self.outputs
        return sentence(self.outputs[TOKENS][0], how) if written and isinstance(how, TextOutput) else ""

    @cached_property
    def curve(self) -> NDArray[np.float64] | None:
        """The values of a model that returns a time series, (T,); None for others."""
        return curve(self.outputs, self._spec)

    @cached_property
    def objects(self) -> tuple[FoundObject, ...] | None:
        """What a detector found, best first; None for other models."""
        if not isinstance(self._spec.postprocessing, DetectionOutput):
            return None
        # It brings statistics into the process, which other models do not need.
        from edgekit.runtime.detection import found_objects

        return found_objects(self.outputs, self._spec, self._size)

    @cached_property
    def points(self) -> tuple[FoundPoint, ...] | None:
        """The points of a network that places them, such as joints, in its order; None for other models."""
        if not isinstance(self._spec.postprocessing, KeypointsOutput):
            return None
        from edgekit.runtime.tasks.keypoints import found_points

        return found_points(self.outputs, self._spec, self._size)

    @cached_property
    def mask(self) -> NDArray[np.uint8] | None:
        """The class of each place of the image, (H, W), 255 on the border of a letterbox; None for other models."""
        if not isinstance(self._spec.postprocessing, SegmentationOutput):
            return None
        from edgekit.runtime.segmentation import mask_of

        return mask_of(self.outputs, self._spec, self._size)

    @property
    def classes(self) -> tuple[ClassShare, ...] | None:
        """The classes of the mask with their shares, largest first; None for models that return no mask."""
        if self.mask is None:
            return None
        from edgekit.runtime.segmentation import shares

        return shares(self.mask, self._spec)

    @cached_property
    def image(self) -> NDArray[np.uint8] | None:
        """The image of a model that generates one, (H, W) or (H, W, 3), 0 to 255; None for others."""
        return pixels(self.outputs, self._spec)


def feed_of(value: object, spec: ModelSpec) -> Feed:
    """The feed for one sample, batch axis included.

    Args:
        value: A path, or its text: an image, a wav, csv or txt file, `.npy` or `.npz`; a sentence for a
            model that reads text; a Pillow image; an array; or a mapping with an array for each input. An array with
            the dtype uint8 and the axes (H, W) or (H, W, 3) is an RGB image for a model that takes images, and one with
            a single axis a sound for a model that takes sound. Any other array is the input itself, with or without
            the batch axis.

    Raises:
        UserError: The value does not fit the model.
    """
    if isinstance(value, np.ndarray):
        return _array_feed(value, spec)
    if isinstance(value, str) and not is_file(value):
        typed = read_sentence(value, spec)
        return read_input(Path(value), spec) if typed is None else typed
    if isinstance(value, str | Path):
        return read_input(Path(value), spec)
    if isinstance(value, Mapping):
        return {tensor.name: _named(value, tensor.name, spec) for tensor in spec.inputs}
    if isinstance(spec.preprocessing, ImageInput) and hasattr(value, "convert"):
        return image_feed(value, spec)
    raise UserError(
        f"'{spec.name}' takes no {type(value).__name__}.", hint="Give a path, an array, a Pillow image or a sentence."
    )


def size_of(value: object, spec: ModelSpec) -> tuple[int, int] | None:
    """Width and height of the image that `value`, as in `feed_of`, is; None if it is none, or places do not matter."""
    places = isinstance(spec.postprocessing, DetectionOutput | KeypointsOutput | SegmentationOutput)
    if not places or not isinstance(spec.preprocessing, ImageInput):
        return None
    if isinstance(value, np.ndarray):
        is_image = value.dtype == np.uint8 and value.ndim in _IMAGE_AXES
        return (value.shape[1], value.shape[0]) if is_image else None
    if isinstance(value, str | Path):
        path = Path(value)
        return image_size(path) if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() else None
    width, height = getattr(value, "size", (0, 0))
    return (width, height) if hasattr(value, "convert") else None


def is_file(text: str) -> bool:
    """True for the name of a file, which may be missing; False for a sentence."""
    # Path.is_file fails on a long sentence.
    return Path(text).suffix.lower() in _FILES or os.path.isfile(text)


def _array_feed(array: NDArray[Any], spec: ModelSpec) -> Feed:
    how = spec.preprocessing
    if isinstance(how, ImageInput) and array.dtype == np.uint8 and array.ndim in _IMAGE_AXES:
        return prepared_array(array, spec)
    if isinstance(how, AudioInput) and array.ndim == 1:
        return signal_feed(array, spec)
    if len(spec.inputs) != 1:
        names = ", ".join(tensor.name for tensor in spec.inputs)
        raise UserError(f"'{spec.name}' has the inputs {names}.", hint="Give a dict with an array for each.")
    return {spec.inputs[0].name: as_input(array, spec.inputs[0], _GIVEN)}


def _named(values: Mapping[Any, Any], name: str, spec: ModelSpec) -> NDArray[Any]:
    if name not in values:
        raise UserError(f"'{name}' is missing: '{spec.name}' takes {', '.join(map(str, spec.inputs))}.")
    return as_input(np.asarray(values[name]), spec.input(name), _GIVEN)
