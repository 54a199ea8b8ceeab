"""The file with which each call from end to end begins: the user's, or one made from a sample of the bundle."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.system.optional import need
from edgekit.core.units import format_value
from edgekit.flows.opening.artifacts import Opened
from edgekit.runtime.portable.inputs import image_size
from edgekit.runtime.prediction import feed_of, is_file
from edgekit.runtime.preprocessing import IMAGE_SUFFIXES, is_raw, pixels_of

# What a 16-bit wav file stores for 1.
_FULL_SCALE = 32768


class GivenFile(NamedTuple):
    """What a call begins with, a path or a sentence, and what it is in words."""

    value: str
    described: str


def given_file(found: Opened, text: str, folder: Path, before: str = "") -> GivenFile:
    """What calls of this model begin with.

    Args:
        text: A file or a sentence of the user; if empty, the first sample becomes a file again.
        folder: Where that file is written.
        before: What it was in an earlier part of the measurement, in words; empty if there is none.

    Raises:
        UserError: It does not fit the model, it is not the same as before, or the samples cannot become files.
        MissingExtra: Pillow is not installed, which images need.
    """
    given = _of_user(found, text) if text else _of_sample(found, folder)
    if before not in ("", given.described):
        raise UserError(f"The earlier calls began with {before}, not with {given.described}.", hint="Omit --resume.")
    return given


def _of_user(found: Opened, text: str) -> GivenFile:
    feed_of(text, found.spec)
    if not is_file(text):
        return GivenFile(text, "a sentence")
    path = Path(text)
    size = format_value(path.stat().st_size, "bytes")
    is_image = path.suffix.lower() in IMAGE_SUFFIXES
    pixels = "{} x {} pixels, ".format(*image_size(path)) if is_image else ""
    return GivenFile(str(path.resolve()), f"{path.name}, {pixels}{size}")


def wav_bytes(values: NDArray[np.int16], rate: int) -> bytes:
    """A mono wav file with these values."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.astype("<i2").tobytes())
    return stream.getvalue()


def _of_sample(found: Opened, folder: Path) -> GivenFile:
    """The first sample as the file that it may have been read from: as small as the input of the model is."""
    how = found.spec.preprocessing
    first = next(iter(found.samples.inputs.values()))[0]
    if isinstance(how, ImageInput):
        path = folder / "sample.png"
        _write_png(path, np.asarray(first, np.uint8) if is_raw(found.spec) else pixels_of(first, how))
        return GivenFile(str(path), f"sample 0 as a png of {how.width} x {how.height} pixels")
    if isinstance(how, AudioInput):
        path = folder / "sample.wav"
        path.write_bytes(wav_bytes(_stored(first), how.rate))
        return GivenFile(str(path), f"sample 0 as a wav of {how.length / how.rate:g} s")
    raise UserError(
        f"The samples of '{found.path}' cannot become files again, with which calls from end to end begin.",
        hint=f"edgekit profile {found.path} --end-to-end --input FILE",
    )


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    flat = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    need("PIL.Image", extra="images").fromarray(flat).save(path)


def _stored(signal: Array) -> NDArray[np.int16]:
    """The values of a wav file whose signal, from -1 to 1, this is; those of a model that takes them, as they are."""
    if signal.dtype == np.int16:
        return signal.astype(np.int16)
    scaled = np.round(signal.astype(np.float64) * _FULL_SCALE)
    return np.clip(scaled, -_FULL_SCALE, _FULL_SCALE - 1).astype(np.int16)
