"""The image processors of Hugging Face's transformers as the preprocessing of edgekit. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.spec.input_kinds import ImageInput, Interpolation
from edgekit.core.system.optional import need
from edgekit.runtime.preprocessing import image_tensor, prepared

# Pillow's numbers of the ways to resize.
_INTERPOLATIONS: Final[tuple[Interpolation, ...]] = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
_STEPS: Final = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "do_flip_channel_order")
# Height and width of a picture on which processors are compared, and by how much their pixels may differ on average.
_PICTURE: Final = (300, 420)
_MOST_STEPS: Final = 1.0
# ConvNeXt crops smaller images than this one, and squeezes larger ones.
_CONVNEXT_WHOLE: Final = 384


def image_of_processor(processor: Any) -> ImageInput | None:
    """The preprocessing of an image processor; None without one, or if edgekit makes other values of a picture."""
    how = _described(processor.to_dict(), type(processor).__name__) if processor is not None else None
    return how if how is not None and _makes_the_same(processor, how) else None


def _makes_the_same(processor: Any, how: ImageInput) -> bool:
    """Whether the processor and `how` agree on a picture, up to the rounding of how pixels are averaged."""
    picture = need("PIL.Image", extra="images").fromarray(_picture())
    given = processor(images=picture, return_tensors="np")["pixel_values"]
    own = image_tensor(prepared(picture, how), how)
    if np.shape(given) != own.shape:
        return False
    steps = np.abs(own - given) * how.divisor * np.reshape(how.std, (-1, 1, 1))
    return bool(steps.mean() <= _MOST_STEPS)


def _picture() -> NDArray[np.uint8]:
    """Colours that change smoothly, and differ in every place and channel: what is moved or exchanged is seen."""
    row, column = np.mgrid[: _PICTURE[0], : _PICTURE[1]] / np.reshape(_PICTURE, (2, 1, 1))
    red, green, blue = 255 * row, 255 * column, 255 * np.sin(3 * (row + column)) ** 2
    return np.stack([red, green, blue], axis=-1).round().astype(np.uint8)


def _described(found: Mapping[str, Any], kind: str) -> ImageInput | None:
    """What the settings of a processor say; None if they say more than ImageInput has."""
    others = [key for key, value in found.items() if key.startswith("do_") and key not in _STEPS and value]
    sizes = _sizes(kind, found)
    if others or sizes is None or not found.get("do_resize"):
        return None
    resize, (height, width) = sizes
    mean, std = (found["image_mean"], found["image_std"]) if found.get("do_normalize") else ((0.0,), (1.0,))
    return ImageInput(
        height,
        width,
        3,
        tuple(map(float, mean)),
        tuple(map(float, std)),
        resize=resize,
        interpolation=_INTERPOLATIONS[int(found.get("resample") or 0)],
        divisor=_divisor(found),
        color="bgr" if found.get("do_flip_channel_order") else "rgb",
    )


def _sizes(kind: str, found: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[int, int]] | None:
    """To what an image is resized before the centre is cut out, and its final height and width; None if it varies."""
    size, crop = found.get("size") or {}, found.get("crop_size") if found.get("do_center_crop") else None
    short = size.get("shortest_edge")
    if kind.startswith("ConvNext") and short:
        return _convnext_sizes(int(short), float(found.get("crop_pct") or 1.0))
    whole = (size["height"], size["width"]) if {"height", "width"} <= set(size) else None
    if crop is not None:
        cut = (int(crop["height"]), int(crop["width"]))
        return ((int(short),), cut) if short and not whole else (whole, cut) if whole else None
    return ((), whole) if whole else None


def _convnext_sizes(short: int, share: float) -> tuple[tuple[int, ...], tuple[int, int]]:
    return ((), (short, short)) if short >= _CONVNEXT_WHOLE else ((int(short / share),), (short, short))


def _divisor(found: Mapping[str, Any]) -> float:
    """By what pixels are divided: 255 for a factor of 0.00392156862745098."""
    if not found.get("do_rescale"):
        return 1.0
    exact = 1 / float(found.get("rescale_factor") or 1)
    return float(round(exact)) if abs(exact - round(exact)) < 1e-6 * exact else exact
