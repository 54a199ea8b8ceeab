"""How a file becomes the input of a model: an image, audio, a text, a series, an array."""

from __future__ import annotations

from typing import Literal

import msgspec

Interpolation = Literal["bilinear", "bicubic", "nearest", "box", "hamming", "lanczos"]
Color = Literal["rgb", "bgr", "gray"]
Layout = Literal["nchw", "nhwc"]


class ImageInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="image"):
    """How an image file becomes the model's input: resized, cut, divided by `divisor`, then `(x - mean) / std`.

    `resize` is the size before the centre of `height` x `width` is cut out: one number for the shorter side, or height
    and width; if empty, the whole image gets `height` x `width`. With `letterbox`, a grey level from 0 to 255, the
    whole image keeps its aspect ratio, as large as it can be, and the border around it has that level. `mean` and `std`
    are per channel, in the order of `color`. `invert` is for models trained on light strokes over a dark ground, such
    as handwritten digits.
    """

    height: int
    width: int
    channels: int = 3
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    invert: bool = False
    resize: tuple[int, ...] = ()
    interpolation: Interpolation = "bilinear"
    divisor: float = 255.0
    color: Color = "rgb"
    layout: Layout = "nchw"
    letterbox: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of one input, without the batch axis."""
        if self.layout == "nhwc":
            return self.height, self.width, self.channels
        return self.channels, self.height, self.width


class ArrayInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="array"):
    """The input is a .npy or .npz file that contains the tensor unchanged."""


class AudioInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="audio"):
    """The input is a mono wav file at `rate` hertz, scaled to -1..1 and cut or filled with zeros to `length` values."""

    rate: int
    length: int


class TextInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="text"):
    """The input is a sentence in lower case, split into words and punctuation; a token is its index in `vocabulary`.

    Index 0 is padding, index 1 any unknown word; at most `length` tokens are used. If `end` is set, it is added as the
    last token. A network that generates text gets what it has written so far as the input `written`, which starts with
    the token `begin`.
    """

    vocabulary: tuple[str, ...]
    length: int
    end: int | None = None
    written: str = ""
    begin: int | None = None


class SeriesInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="series"):
    """The input is the last `rows` rows of a csv file, its `columns` in this order, in their own units."""

    columns: tuple[str, ...]
    rows: int


Preprocessing = ImageInput | AudioInput | TextInput | SeriesInput | ArrayInput
