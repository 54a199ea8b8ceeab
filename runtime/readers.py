"""Turns wav files, sentences and csv files into the numbers a model takes; training reads its data with it too."""

from __future__ import annotations

import csv
import io
import re
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.spec.input_kinds import SeriesInput, TextInput
from edgekit.core.system.files import read_bytes

PADDING: Final = 0
UNKNOWN: Final = 1
# What the standard library raises for a wav file whose chunks do not fit together.
BROKEN_WAV: Final = (wave.Error, EOFError, RuntimeError, ValueError, OverflowError)
_WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def read_wav(data: bytes, name: str, *, rate: int, error: type[EdgekitError] = UserError) -> NDArray[np.float32]:
    """The signal of a 16-bit mono wav file, -1 to 1, shape (samples,).

    Raises:
        error: Not a wav file, truncated, or the wrong sampling rate, bit depth or number of channels.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, rate):
                found = f"{file.getframerate()} Hz, {8 * file.getsampwidth()} bit, {file.getnchannels()} channels"
                raise error(f"'{name}': expected {rate} Hz, 16 bit, 1 channel, got {found}.")
            count, frames = file.getnframes(), file.readframes(file.getnframes())
    except EdgekitError:
        raise
    except BROKEN_WAV as err:
        raise error(f"'{name}' is not a wav file: {said_of(err)}.") from err
    if len(frames) != 2 * count:
        raise error(f"'{name}' is truncated: {len(frames) // 2} of {count} values.")
    return np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(32768)


def said_of(err: Exception) -> str:
    """What is wrong with a wav file, where the standard library says nothing as well."""
    return str(err) or ("it is empty" if isinstance(err, EOFError) else "its parts do not fit together")


def fitted(signal: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The signal, cut or zero-padded at its end to `length` values."""
    return np.pad(signal[:length], (0, max(0, length - len(signal))))


def words(text: str) -> list[str]:
    """Words and punctuation of a sentence, in lower case."""
    return _WORD.findall(text.lower())


def tokens(sentence: Sequence[str], how: TextInput) -> NDArray[np.int64]:
    """Indices of the words in the vocabulary, shape (T,), followed by `end` if it is set; at least one."""
    places = {word: place for place, word in enumerate(how.vocabulary)}
    room = how.length - (how.end is not None)
    found = [places.get(word, UNKNOWN) for word in sentence[:room]] + ([] if how.end is None else [how.end])
    return np.array(found or [PADDING], dtype=np.int64)


def read_rows(path: Path, how: SeriesInput) -> NDArray[np.float32]:
    """The last `rows` rows of the columns, of shape (rows, columns), or (rows,) for one column.

    Raises:
        UserError: It is not a csv, a column is missing, a value is not a number, or there are fewer rows.
    """
    try:
        return _read_rows(path, how)
    except csv.Error as err:
        raise UserError(f"'{path}' is not a csv: {err}.") from err


def _read_rows(path: Path, how: SeriesInput) -> NDArray[np.float32]:
    lines = read_bytes(path).decode("utf-8", errors="replace").splitlines()
    table = csv.DictReader(lines)
    missing = [name for name in how.columns if name not in (table.fieldnames or ())]
    if missing:
        raise UserError(f"'{path}' has no column '{missing[0]}'.", hint=f"Required columns: {', '.join(how.columns)}.")
    values = []
    for row in table:
        try:
            values.append([float(row[name]) for name in how.columns])
        except (TypeError, ValueError) as err:
            raise UserError(f"'{path}', line {table.line_num}: {err}.") from err
    if len(values) < how.rows:
        raise UserError(f"'{path}' has {len(values)} rows; the model takes the last {how.rows}.")
    found = np.array(values[-how.rows :], dtype=np.float32)
    return found[:, 0] if len(how.columns) == 1 else found
