"""What a person sees of an input: which of its axes are the picture, and how large the hidden patches are."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.preprocessing import is_raw

# Sizes of an axis that holds colours, in files that do not say which axis does.
_COLOURS: Final = (1, 3, 4)
_IMAGE_RANK: Final = 4
# A patch covers about a sixth of a side and moves by half of it: 121 to 225 patches for a picture, 48 for a signal.
_PATCHES: Final = 6
# Signals have one axis, so finer patches cost little.
_PARTS: Final = 24


class View(NamedTuple):
    """The axes of an input that are the picture, without those of the batch and of the colours."""

    name: str
    axes: tuple[int, ...]

    def sides(self, feed: Feed) -> tuple[int, ...]:
        """The size of the picture: rows and columns, or the length of a signal."""
        return tuple(feed[self.name].shape[axis] for axis in self.axes)


class Patch(NamedTuple):
    """Where patches begin along each axis of the picture, and how far each reaches."""

    starts: tuple[tuple[int, ...], ...]
    sides: tuple[int, ...]


def view_of(spec: ModelSpec, feed: Feed) -> View:
    """The first input that has a picture, and its axes.

    Raises:
        UserError: None has one: inputs are tokens, single numbers, or have more than two axes and colours.
    """
    for tensor in spec.fed:
        axes = _axes(tensor, feed[tensor.name].shape, spec)
        if axes:
            return View(tensor.name, axes)
    raise UserError(
        f"--explain hides parts of an image, a signal or a spectrogram; '{spec.name}' takes "
        f"{', '.join(map(str, spec.fed))}.",
        hint="Omit --explain.",
    )


def _axes(tensor: TensorSpec, shape: tuple[int, ...], spec: ModelSpec) -> tuple[int, ...]:
    how = spec.preprocessing
    if isinstance(how, ImageInput) and tensor is spec.inputs[0] and len(shape) == _IMAGE_RANK:
        return (1, 2) if is_raw(spec) or how.layout == "nhwc" else (2, 3)
    is_sound = isinstance(how, AudioInput) and is_raw(spec)
    if "float" not in tensor.dtype and not is_sound:
        return ()
    # A first axis of a fixed size is the batch as well, if the spec knows of none.
    axes = tuple(range(1, len(shape)))
    if len(axes) == _IMAGE_RANK - 1:
        colours = next((axis for axis in (1, 3) if shape[axis] in _COLOURS), 1)
        axes = tuple(axis for axis in axes if axis != colours)
    long = tuple(axis for axis in axes if shape[axis] > 1)
    return long if 1 <= len(long) <= 2 else ()


def patches(sides: tuple[int, ...]) -> Patch:
    """Patches that cover a picture or a signal, each moved by half of its side."""
    parts = _PARTS if len(sides) == 1 else _PATCHES
    long = tuple(max(1, round(side / parts)) for side in sides)
    starts = tuple(
        tuple(dict.fromkeys([*range(0, side - one, max(1, one // 2)), side - one]))
        for side, one in zip(sides, long, strict=True)
    )
    return Patch(starts, long)


def ground(feed: Feed, view: View) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """What hides a patch: the mean of the input over its picture, one a colour, in the dtype of the input."""
    array = feed[view.name]
    mean = np.asarray(array, np.float64).mean(axis=view.axes, keepdims=True)
    return np.asarray(mean if array.dtype.kind == "f" else np.round(mean)).astype(array.dtype)
