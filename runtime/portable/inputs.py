"""Turns a file into the model's inputs, as the settings of a deployed program say; needs numpy, and Pillow for images.

The same steps as in edgekit's own preprocessing, with the fields of its specs as a dictionary.
"""

from __future__ import annotations

import csv
import importlib
import io
import re
import wave
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

PADDING, UNKNOWN = 0, 1
WHITE, FULL_SCALE = 255.0, 32768
ARRAYS = (".npy", ".npz")
WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def read_input(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Arrays by input name, batch axis included.

    Raises:
        ValueError: The file does not fit the model.
    """
    first = settings["inputs"][0]["name"]
    if path.suffix in (".npz", ".npy"):
        return arrays(path, settings["inputs"])
    how = settings["preprocessing"]
    readers = {"image": image, "audio": audio, "text": text, "series": series}
    if how["type"] not in readers:
        raise ValueError(f"'{path}' is not an input of this model: it takes {' or '.join(ARRAYS)}.")
    return {first: readers[how["type"]](path, how, settings["is_raw"])}


def arrays(path: Path, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The arrays of an .npz by input name, or the only one of an .npy; errors as in `read_input`."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray) != (path.suffix == ".npy"):
            raise ValueError("it is of the other kind of file")
        wanted = inputs[:1] if path.suffix == ".npy" else inputs
        found = [loaded if path.suffix == ".npy" else loaded[one["name"]] for one in wanted]
    except (ValueError, EOFError, SyntaxError, TokenError, TypeError, IndexError, OverflowError, RecursionError) as err:
        # numpy reads the header of an array as Python source.
        raise ValueError(f"'{path}' is not a whole {path.suffix} file: {err}") from err
    return {one["name"]: as_input(array, one) for one, array in zip(wanted, found)}  # noqa: B905 - Python 3.9 has no strict


def as_input(array: Any, tensor: dict[str, Any]) -> Any:
    """`array` with the batch axis and in the dtype of the input; values that would become others are refused."""
    batched = array[None] if array.ndim == len(tensor["shape"]) - 1 else array
    if batched.dtype.kind not in "iub" and not np.can_cast(batched.dtype, tensor["dtype"], "same_kind"):
        raise ValueError(f"An array of {batched.dtype} was given for '{tensor['name']}' ({tensor['dtype']}).")
    cast = batched.astype(tensor["dtype"])
    if cast.dtype.kind in "iu" and not np.array_equal(cast, batched):
        raise ValueError(f"The array has values for '{tensor['name']}' outside the range of {tensor['dtype']}.")
    return cast


def image(path: Path, how: dict[str, Any], is_raw: bool) -> Any:
    """An image file as (1, C, H, W) or (1, H, W, C): resized, cut and normalised."""
    pillow = importlib.import_module("PIL.Image")  # by name: edgekit, with its extras, is not where this runs
    with pillow.open(path) as opened:
        whole = opened.convert("L" if how["channels"] == 1 else "RGB")
    resized = whole.resize(resized_to(whole.size, how), pillow.Resampling[how["interpolation"].upper()])
    left, top = cut_from(resized.size, how)
    if how["letterbox"] is None:
        fitted = resized.crop((left, top, left + how["width"], top + how["height"]))
    else:
        fitted = pillow.new(resized.mode, (how["width"], how["height"]), (how["letterbox"],) * how["channels"])
        fitted.paste(resized, (-left, -top))
    pixels = np.asarray(fitted, np.uint8).reshape(how["height"], how["width"], how["channels"])
    return pixels[None] if is_raw else normalised(pixels, how)


def resized_to(size: tuple[int, int], how: dict[str, Any]) -> tuple[int, int]:
    """Width and height to which an image of `size` (width, height) is resized before it is cut."""
    if how["letterbox"] is not None:
        factor = min(how["width"] / size[0], how["height"] / size[1])
        return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
    if not how["resize"]:
        return how["width"], how["height"]
    if len(how["resize"]) > 1:
        return how["resize"][1], how["resize"][0]
    short, (width, height) = how["resize"][0], size
    return (short, int(short * height / width)) if width <= height else (int(short * width / height), short)


def cut_from(size: tuple[int, int], how: dict[str, Any]) -> tuple[int, int]:
    """The left upper corner of what is cut from a resized image of `size` (width, height); negative for a border."""
    extra = size[0] - how["width"], size[1] - how["height"]
    if how["letterbox"] is not None:
        return -(-extra[0] // 2), -(-extra[1] // 2)
    return round(extra[0] / 2), round(extra[1] / 2)


def in_file(boxes: Any, size: tuple[int, int], how: dict[str, Any]) -> Any:
    """Boxes (D, 4) in pixels of the input, as pixels of the image of `size` (width, height) that it was made of."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 2)
    return np.clip(places_in_file(corners, size, how), 0, size).reshape(-1, 4)


def places_in_file(places: Any, size: tuple[int, int], how: dict[str, Any]) -> Any:
    """Places (D, 2) in pixels of the input, as pixels of that image; those on a border are outside of it."""
    resized = resized_to(size, how)
    return (places + np.array(cut_from(resized, how))) * (np.array(size, np.float64) / np.array(resized))


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of an image file."""
    with importlib.import_module("PIL.Image").open(path) as opened:
        width, height = opened.size
    return width, height


def normalised(pixels: Any, how: dict[str, Any]) -> Any:
    """Pixels of shape (H, W, C), 0 to 255, as the model's input."""
    scaled = pixels.astype(np.float32) / np.float32(how["divisor"])
    scaled = np.float32(WHITE / how["divisor"]) - scaled if how["invert"] else scaled
    ordered = scaled[..., ::-1] if how["color"] == "bgr" else scaled
    value = (ordered - np.asarray(how["mean"], np.float32)) / np.asarray(how["std"], np.float32)
    return np.ascontiguousarray((value if how["layout"] == "nhwc" else value.transpose(2, 0, 1))[None])


def audio(path: Path, how: dict[str, Any], is_raw: bool) -> Any:
    """A 16-bit mono wav file as (1, length), -1 to 1, cut or filled with zeros."""
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, how["rate"]):
            raise ValueError(f"'{path}' must be a wav file of {how['rate']} Hz, 16 bit, 1 channel.")
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2")[: how["length"]]
    padded = np.pad(values, (0, how["length"] - len(values)))[None]
    return padded.astype(np.int16) if is_raw else padded.astype(np.float32) / np.float32(FULL_SCALE)


def text(path: Path, how: dict[str, Any], is_raw: bool) -> Any:
    """A sentence in a text file as tokens, (1, T)."""
    places = {word: place for place, word in enumerate(how["vocabulary"])}
    ends = [] if how["end"] is None else [how["end"]]
    words = WORD.findall(path.read_text(encoding="utf-8", errors="replace").lower())
    found = [places.get(word, UNKNOWN) for word in words[: how["length"] - len(ends)]] + ends
    return np.array([found or [PADDING]], dtype=np.int64)


def series(path: Path, how: dict[str, Any], is_raw: bool) -> Any:
    """The last rows of the columns of a csv file, (1, rows, columns), or (1, rows) for one column."""
    lines = path.read_text(encoding="utf-8", errors="replace")
    rows = [[float(row[name]) for name in how["columns"]] for row in csv.DictReader(io.StringIO(lines))]
    if len(rows) < how["rows"]:
        raise ValueError(f"'{path}' has {len(rows)} rows; the model takes the last {how['rows']}.")
    found = np.array(rows[-how["rows"] :], dtype=np.float32)
    return (found[:, 0] if len(how["columns"]) == 1 else found)[None]
