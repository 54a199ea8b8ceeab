"""Tensors as the file declares them, plus what only the ModelSpec has: axis names, bounds and padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from edgekit.core.spec.tensor_spec import Axis, TensorSpec

SIZES_KEY: Final = "edgekit.sizes"
"""The metadata of an .onnx file in which `edgekit export` writes the sizes of dynamic axes, as JSON."""
# Ultralytics writes the height and width for which a network was exported: "[640, 640]".
_IMAGE_KEY: Final = "imgsz"
_IMAGE_RANK: Final = 4


def completed(tensor: TensorSpec, known: Sequence[TensorSpec]) -> TensorSpec:
    """`tensor` as read from a file, with axis names, bounds and padding from the spec of the same name.

    Sizes and dtype stay as in the file: the file is what runs.
    """
    spec = next((other for other in known if other.name == tensor.name), None)
    if spec is None or len(spec.shape) != len(tensor.shape):
        return tensor
    shape = tuple(_axis(mine, theirs) for mine, theirs in zip(tensor.shape, spec.shape, strict=True))
    return msgspec.structs.replace(tensor, shape=shape, low=spec.low, high=spec.high, padding=spec.padding)


def sizes_in(metadata: Mapping[str, str], inputs: Sequence[TensorSpec]) -> dict[str, tuple[int, ...]]:
    """The sizes of dynamic axes that the exporter wrote into the metadata of a file; empty if it wrote none."""
    free = {axis for tensor in inputs for axis in tensor.free_axes}
    found = {**_image_sizes(metadata.get(_IMAGE_KEY, ""), inputs), **_written_sizes(metadata.get(SIZES_KEY, ""))}
    return {axis: sizes for axis, sizes in found.items() if axis in free and sizes and min(sizes) > 0}


def _written_sizes(text: str) -> dict[str, tuple[int, ...]]:
    try:
        return msgspec.json.decode(text, type=dict[str, tuple[int, ...]]) if text else {}
    except msgspec.DecodeError:
        return {}


def _image_sizes(text: str, inputs: Sequence[TensorSpec]) -> dict[str, tuple[int, ...]]:
    try:
        height, width = msgspec.json.decode(text, type=tuple[int, int])
    except msgspec.DecodeError:
        return {}
    if len(inputs) != 1 or len(inputs[0].shape) != _IMAGE_RANK:
        return {}
    return {
        axis: (size,) for axis, size in zip(inputs[0].shape[2:], (height, width), strict=True) if isinstance(axis, str)
    }


def _axis(file: Axis, spec: Axis) -> Axis:
    return spec if isinstance(file, str) else file
