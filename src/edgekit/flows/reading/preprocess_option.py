"""`--preprocess`: how a file becomes the input of a user's own network, from text to the value in the ModelSpec."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Final, get_args

import msgspec

from edgekit.core.errors import UserError, nearest
from edgekit.core.spec.input_kinds import AudioInput, Color, ImageInput, Interpolation, Layout, Preprocessing
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.native.types import prepared

EXAMPLE_IMAGE: Final = "resize=256,crop=224,mean=0.485;0.456;0.406,std=0.229;0.224;0.225"
EXAMPLE_AUDIO_KEYS: Final = "rate=16000,length=16000"
_HINT: Final = f"--preprocess '{EXAMPLE_IMAGE}'"
_SIZE: Final = re.compile(r"[1-9][0-9]{0,4}(?:x[1-9][0-9]{0,4})?")
_FRACTION: Final = re.compile(r"1/(?P<divisor>[0-9.]+)")
# What is within this share of a whole number is meant to be it: 0.00392156862745098 is 1/255.
_WHOLE: Final = 1e-6
_WHITE: Final = 255
# The grey of the border in most detectors that are trained with letterboxes, YOLOv5 and later among them.
_PAD: Final = 114
# Of one image: channels, height and width; and how many channels it may have.
_IMAGE_AXES: Final = 3
_CHANNELS: Final = (1, 3)


class _Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of an image's keys; `scale` is the divisor."""

    resize: tuple[int, ...] = ()
    crop: tuple[int, ...] = ()
    letterbox: tuple[int, ...] = ()
    pad: int | None = None
    scale: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    color: Color = "rgb"
    layout: Layout = "nchw"
    interpolation: Interpolation = "bilinear"
    invert: bool = False


class _Wrong(Exception):
    """What a value should be."""


def parse_preprocessing(text: str) -> Preprocessing:
    """The preprocessing that a text such as `resize=256,crop=224,mean=0.5,std=0.25` describes.

    Keys of an image: `resize` (shorter side, or HEIGHTxWIDTH), `crop` (of the centre), or `letterbox` and `pad`;
    `scale`, `mean`, `std`, `color`, `layout`, `interpolation`, `invert`; of sound: `rate` in hertz and `length` in
    values.

    Raises:
        UserError: All problems at once: unknown keys (with the nearest), repeated or missing ones, and wrong values.
    """
    given, problems = _pairs(text)
    sound = {key: value for key, value in given.items() if key in _AUDIO_KEYS}
    if sound and len(sound) < len(given):
        problems.append(
            f"{', '.join(sound)} is for sound, {', '.join(key for key in given if key in _IMAGE_KEYS)} for images."
        )
    values, wrong = _values(given)
    problems += wrong
    if not problems:
        try:
            return _audio(values) if sound else _image(values)
        except _Wrong as err:
            problems.append(str(err))
    listing = "".join(f"\n  {problem}" for problem in problems)
    hint = f"--preprocess '{EXAMPLE_AUDIO_KEYS}'" if sound else _HINT
    raise UserError(f"--preprocess '{text}' cannot be used:{listing}", hint=hint)


def input_of(how: Preprocessing) -> TensorSpec | None:
    """The input that this preprocessing makes, for users who name none; None if it does not define one."""
    if isinstance(how, ImageInput):
        return TensorSpec("image", "float32", ("N", *how.shape))
    return TensorSpec("audio", "float32", ("N", how.length)) if isinstance(how, AudioInput) else None


def with_preprocessing(spec: ModelSpec, text: str) -> ModelSpec:
    """`spec` with the preprocessing that `text` describes, if any; errors as in the functions of this module."""
    if not text:
        return spec
    how = parse_preprocessing(text)
    _refuse_unfitting(how, spec, text)
    return msgspec.structs.replace(spec, preprocessing=how)


def _refuse_unfitting(how: Preprocessing, spec: ModelSpec, text: str) -> None:
    """Raise if the model has several inputs, or one of another shape or dtype than the preprocessing makes."""
    made = input_of(how)
    if made is None:
        return
    if len(spec.inputs) != 1:
        names = ", ".join(tensor.name for tensor in spec.inputs)
        raise UserError(f"--preprocess describes one input, but '{spec.name}' has {len(spec.inputs)}: {names}.")
    (tensor,) = spec.inputs
    fits = len(tensor.shape) == len(made.shape) and all(
        isinstance(want, str) or want == size for want, size in zip(tensor.shape[1:], made.shape[1:], strict=True)
    )
    if not fits:
        raise UserError(
            f"--preprocess makes samples of shape {_text(made.shape[1:])}; '{tensor}' has {_text(tensor.shape[1:])}.",
            hint=_fitting_hint(how, tensor, text),
        )
    if "float" not in tensor.dtype:
        raise UserError(f"--preprocess makes float32, but '{tensor}' takes {tensor.dtype}.", hint="Omit --preprocess.")


def _fitting_hint(how: Preprocessing, tensor: TensorSpec, text: str) -> str:
    """The same preprocessing at the size of the input, where it is one of an image."""
    sizes = [size for size in tensor.shape[1:] if isinstance(size, int)]
    if isinstance(how, AudioInput):
        return f"--preprocess 'rate={how.rate},length={sizes[0]}'" if len(sizes) == 1 else ""
    if isinstance(how, ImageInput) and sizes == [how.height, how.width, how.channels]:
        return f"--preprocess '{text},layout=nhwc'"
    steps = example_of(tensor)
    return f"--preprocess '{steps}'" if steps else ""


def example_of(tensor: TensorSpec) -> str:
    """The plainest preprocessing that makes an image of the size of this input; empty if it is none of a fixed size."""
    sizes = [size for size in tensor.shape[1:] if isinstance(size, int)]
    if len(sizes) != _IMAGE_AXES or not {sizes[0], sizes[2]} & set(_CHANNELS):
        return ""
    is_first = sizes[0] in _CHANNELS
    channels, height, width = sizes if is_first else (sizes[2], *sizes[:2])
    return f"resize={height}x{width}{',color=gray' * (channels == 1)}{',layout=nhwc' * (not is_first)}"


def _pairs(text: str) -> tuple[dict[str, str], list[str]]:
    given: dict[str, str] = {}
    problems = []
    for part in (part.strip() for part in text.split(",")):
        key, sign, value = (one.strip() for one in part.partition("="))
        if not sign or not value:
            problems.append(f"'{part}' is not KEY=VALUE.")
        elif key not in _PARSERS:
            known = f" Known: {', '.join(_PARSERS)}."
            problems.append(f"unknown key '{key}'.{nearest(key, _PARSERS) or known}")
        elif key in given:
            problems.append(f"'{key}' is given twice.")
        else:
            given[key] = value
    return given, problems


def _values(given: dict[str, str]) -> tuple[dict[str, object], list[str]]:
    values: dict[str, object] = {}
    problems = []
    for key, text in given.items():
        try:
            values[key] = _PARSERS[key](text)
        except _Wrong as err:
            problems.append(f"{key}: expected {err}, got '{text}'.")
    return values, problems


def _image(values: dict[str, object]) -> ImageInput:
    given = msgspec.convert(values, prepared(_Image))
    height, width = _final_size(given)
    channels = 1 if given.color == "gray" else 3
    for key, numbers in (("mean", given.mean), ("std", given.std)):
        if len(numbers) not in (1, channels):
            raise _Wrong(f"{key}: expected 1 or {channels} numbers, got {len(numbers)}.")
    return ImageInput(
        height,
        width,
        channels,
        given.mean,
        given.std,
        given.invert,
        resize=given.resize if given.crop else (),
        interpolation=given.interpolation,
        divisor=given.scale,
        color=given.color,
        layout=given.layout,
        letterbox=(_PAD if given.pad is None else given.pad) if given.letterbox else None,
    )


def _final_size(given: _Image) -> tuple[int, int]:
    """Height and width of the input."""
    resize, crop = given.resize, given.crop
    if given.letterbox and (resize or crop):
        raise _Wrong("letterbox resizes the whole image, so neither resize nor crop goes with it.")
    if given.letterbox:
        return given.letterbox[0], given.letterbox[-1]
    if given.pad is not None:
        raise _Wrong("pad is the grey level of a letterbox: letterbox=640x640.")
    if not crop and len(resize) == 1:
        size = resize[0]
        raise _Wrong(
            f"resize={size} sets the shorter side, so the longer one has no size: add crop={size}, "
            f"or resize the whole image with resize={size}x{size}."
        )
    if not crop and not resize:
        raise _Wrong("the size of the image is missing: resize=HEIGHTxWIDTH, or resize=256,crop=224.")
    if not resize:
        raise _Wrong(f"crop needs resize: resize={min(crop)},crop={'x'.join(map(str, crop))}.")
    final = crop or resize
    return final[0], final[-1]


def _audio(values: dict[str, object]) -> AudioInput:
    missing = next((key for key in _AUDIO_KEYS if key not in values), None)
    if missing:
        raise _Wrong(f"'{missing}' is missing.")
    return msgspec.convert({"type": "audio", **values}, prepared(AudioInput))


def _size(text: str) -> tuple[int, ...]:
    if not _SIZE.fullmatch(text):
        raise _Wrong("a number of pixels, or HEIGHTxWIDTH")
    return tuple(int(part) for part in text.split("x"))


def _numbers(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(";"))
    except ValueError:
        raise _Wrong("numbers separated by ';'") from None
    if not all(map(math.isfinite, numbers)):
        raise _Wrong("finite numbers")
    return numbers


def _spreads(text: str) -> tuple[float, ...]:
    numbers = _numbers(text)
    if min(numbers) <= 0:
        raise _Wrong("numbers above 0")
    return numbers


def _divisor(text: str) -> float:
    """The divisor of a scale such as `1/255`, `0.00392156862745098` or `1`."""
    match = _FRACTION.fullmatch(text)
    try:
        divisor = float(match["divisor"]) if match else 1 / float(text)
    except (ValueError, ZeroDivisionError):
        raise _Wrong("1/255, or another factor above 0") from None
    if not 0 < divisor < math.inf:
        raise _Wrong("a factor above 0")
    whole = round(divisor)
    return float(whole) if whole and abs(divisor - whole) < _WHOLE * whole else divisor


def _one_of(known: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in known:
            raise _Wrong(f"one of {', '.join(known)}")
        return text.lower()

    return parse


def _yes(text: str) -> bool:
    return _one_of(("true", "false"))(text) == "true"


def _level(text: str) -> int:
    if not text.isdecimal() or int(text) > _WHITE:
        raise _Wrong(f"a grey level from 0 to {_WHITE}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 31:
        raise _Wrong("a whole number of at least 1")
    return int(text)


def _text(shape: Sequence[object]) -> str:
    return f"({', '.join(map(str, shape))})"


_IMAGE_KEYS: Final[dict[str, Callable[[str], object]]] = {
    "resize": _size,
    "crop": _size,
    "letterbox": _size,
    "pad": _level,
    "scale": _divisor,
    "mean": _numbers,
    "std": _spreads,
    "color": _one_of(get_args(Color)),
    "layout": _one_of(get_args(Layout)),
    "interpolation": _one_of(get_args(Interpolation)),
    "invert": _yes,
}
_AUDIO_KEYS: Final[dict[str, Callable[[str], object]]] = {"rate": _count, "length": _count}
_PARSERS: Final = {**_IMAGE_KEYS, **_AUDIO_KEYS}
