"""A deployed program reads files without edgekit: both ways give the same for every kind, and refuse the same."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, Preprocessing, SeriesInput, TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.portable.inputs import read_input as read_without_edgekit
from edgekit.runtime.preprocessing import integers_as_reals, read_input

VOCABULARY = ("<pad>", "<unk>", "it's", "cat", ",", "?")
TEXTS = (
    "",
    "It's a CAT, isn't it? 3.14 _x_ don''t",
    "\ufeffcat",
    "cat\n\ncat\t,cat",
    "\u00e9t\u00e9 \u4f60\u597d it\u2019s",
)
TABLES = (
    "t,u\n1,2\n3,4\n",
    "t,u\r\n1,2\r\n3,4\r\n",
    "\ufefft,u\n1,2\n3,4\n",
    "t\n1\n2\n",
    "t,u\n1,\n2,3\n4,5\n",
    '"t","u"\n"1","2"\n3,4\n',
    "t;u\n1;2\n3;4\n",
    "t, u\n1, 2\n3, 4\n",
    "t,u\n1,2\n\n3,4\n\n",
    "t,u\n1\n2,3\n4,5\n",
    "t,u\nnan,2\ninf,4\n",
)


def both(path: Path, how: Preprocessing, *, is_raw: bool = False) -> None:
    """Compare the arrays of both ways, or that both refuse the file."""
    raw = {ImageInput: "uint8", AudioInput: "int16"}
    dtype = raw[type(how)] if is_raw else "int64" if isinstance(how, TextInput) else "float32"
    layout = (how.height, how.width, how.channels) if isinstance(how, ImageInput) else (1,)
    shape = layout if is_raw and isinstance(how, ImageInput) else getattr(how, "shape", (1,))
    spec = ModelSpec("net", "other", (TensorSpec("x", dtype, ("N", *shape)),), preprocessing=how)
    inputs = [{"name": "x", "dtype": dtype, "shape": [0, *shape]}]
    settings = {"inputs": inputs, "is_raw": is_raw, "preprocessing": msgspec.to_builtins(how)}
    there, here = (given(read, path, about) for read, about in ((read_without_edgekit, settings), (read_input, spec)))

    assert (there is None) == (here is None), (path.name, how)
    if there is not None and here is not None:
        here = integers_as_reals(here, spec.inputs, ())
        assert there["x"].dtype == here["x"].dtype, (path.name, how)
        np.testing.assert_array_equal(there["x"], here["x"], err_msg=f"{path.name} {how}")


def given(read: Any, path: Path, about: object) -> Any:
    try:
        return read(path, about)
    except (ValueError, TypeError, KeyError, UserError, wave.Error, EOFError):
        return None


def pictures(folder: Path) -> Iterator[Path]:
    """Images of every mode, with transparency, a palette, 16 bits and a rotation."""
    pixels = np.random.default_rng(0).integers(0, 256, (33, 41, 4)).astype(np.uint8)
    rgb, turned = Image.fromarray(pixels[..., :3]), Image.Exif()
    turned[0x112] = 6
    modes = {f"{mode}.png": rgb.convert(mode) for mode in ("RGB", "RGBA", "L", "LA", "1", "P")}
    others = {f"photo{suffix}": rgb for suffix in (".jpg", ".bmp", ".ppm", ".webp", ".gif")}
    deep = {"deep.png": Image.fromarray(pixels[..., 0].astype(np.uint16) * 200), "print.jpg": rgb.convert("CMYK")}
    for name, image in (modes | others | deep).items():
        image.save(folder / name)
        yield folder / name
    rgb.save(folder / "turned.jpg", exif=turned)
    rgb.quantize(16).save(folder / "seen-through.png", transparency=3)
    yield from (folder / "turned.jpg", folder / "seen-through.png")


def test_images_of_every_mode(tmp_path: Path) -> None:
    grey = [(1, (0.5,), (0.25,)), (3, (0.4, 0.5, 0.6), (0.2, 0.3, 0.25))]
    for path, (channels, mean, std) in itertools.product(list(pictures(tmp_path)), grey):
        for size, resize, more in (
            ((9, 12), (), {}),
            ((20, 50), (10,), {"invert": True}),
            ((9, 12), (20, 15), {"layout": "nhwc", "divisor": 1.0}),
            ((9, 12), (), {"color": "bgr"} if channels == 3 else {}),
            ((64, 20), (), {"letterbox": 114}),
            ((17, 60), (), {"letterbox": 0}),
        ):
            how = ImageInput(*size, channels, mean, std, resize=resize, **more)
            both(path, how)
            both(path, how, is_raw=True)


@pytest.mark.parametrize("is_raw", [False, True])
def test_sounds_of_every_form(tmp_path: Path, is_raw: bool) -> None:
    values = np.arange(-40, 40, dtype="<i2") * 300
    forms = [(1, 2, 8000, values), (1, 2, 8000, values[:0]), (2, 2, 8000, values), (1, 2, 16000, values)]
    forms += [(1, 1, 8000, values.astype(np.uint8)), (1, 4, 8000, values.astype("<i4"))]
    for number, (channels, width, rate, samples) in enumerate(forms):
        path = tmp_path / f"{number}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(samples.tobytes())
        for length in (1, 30, 80, 200):
            both(path, AudioInput(8000, length), is_raw=is_raw)


def test_texts_and_tables_of_every_form(tmp_path: Path) -> None:
    for number, text in enumerate(TEXTS):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
        for length, end in itertools.product((1, 2, 5, 50), (None, 5)):
            both(tmp_path / f"{number}.txt", TextInput(VOCABULARY, length, end=end))
    (tmp_path / "latin.txt").write_bytes(b"cat \xff\xfe cat")
    both(tmp_path / "latin.txt", TextInput(VOCABULARY, 5))
    for number, table in enumerate(TABLES):
        (tmp_path / f"{number}.csv").write_text(table, encoding="utf-8")
        for columns, rows in ((("t", "u"), 2), (("u",), 2), (("u", "t"), 1), (("t",), 3)):
            both(tmp_path / f"{number}.csv", SeriesInput(columns, rows))


def test_arrays_of_every_type(tmp_path: Path) -> None:
    for dtype in (np.float32, np.float64, np.int64, np.uint8, np.int8, np.complex64, np.bool_):
        for number, shape in enumerate([(1, 3, 9, 12), (3, 9, 12), (2, 3, 9, 12)]):
            array = (np.random.default_rng(0).normal(0, 50, shape)).astype(dtype)
            np.save(tmp_path / f"{number}.npy", array)
            np.savez(tmp_path / f"{number}.npz", x=array)
            np.savez(tmp_path / f"other{number}.npz", y=array)
            for name in (f"{number}.npy", f"{number}.npz", f"other{number}.npz"):
                both(tmp_path / name, ImageInput(9, 12))
