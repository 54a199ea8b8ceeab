"""Speech Commands: one-second words at 16 kHz, as a zip of wav files with a table of labels and speakers."""

from __future__ import annotations

import csv
import io
import wave
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import Unreadable
from edgekit.core.files import read_bytes
from edgekit.core.samples import Samples
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.files import find

ARCHIVE = "speech_commands12_subset.zip"
TABLE = "labels.csv"
FILES = (TABLE, ARCHIVE)
LICENCE = "CC BY 4.0 (Pete Warden, Google: Speech Commands v0.02)"
LABELS = ("_silence_", "_unknown_", "down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
RATE = 16_000
SAMPLES = 16_000


def speech_commands12(data: Path | None = None) -> Dataset:
    """Audio float32 (S, 16000) from -1 to 1 in twelve classes; no speaker is in two splits."""
    folder = find("speech_commands12", FILES, data)
    rows = _table(folder / TABLE)
    clips = _clips(folder / ARCHIVE, [row["file"] for row in rows])
    labels = np.array([LABELS.index(row["label"]) for row in rows], dtype=np.int64)
    whole = Samples({"audio": clips}, labels)
    train, validation, test = (
        whole.take([number for number, row in enumerate(rows) if row["split"] == name])
        for name in ("train", "val", "test")
    )
    return dataset(train, test, source="speech_commands12", licence=LICENCE, validation=validation)


def read_wav(data: bytes, name: str, *, rate: int = RATE) -> NDArray[np.float32]:
    """The signal of a 16-bit mono wav file from -1 to 1, shape (samples,).

    Raises:
        Unreadable: No wav file, another rate, width or number of channels, or a truncated one.
    """
    try:
        with wave.open(io.BytesIO(data)) as file:
            if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, rate):
                found = f"{file.getframerate()} Hz, {8 * file.getsampwidth()} bit, {file.getnchannels()} channels"
                raise Unreadable(f"'{name}': expected {rate} Hz, 16 bit, 1 channel, got {found}.")
            count, frames = file.getnframes(), file.readframes(file.getnframes())
    except (wave.Error, EOFError) as err:
        raise Unreadable(f"'{name}' is no wav file: {err or 'it is empty'}.") from err
    if len(frames) != 2 * count:
        raise Unreadable(f"'{name}' is truncated: {len(frames) // 2} of {count} values.")
    return np.frombuffer(frames, "<i2").astype(np.float32) / np.float32(32768)


def fitted(signal: NDArray[np.float32], length: int = SAMPLES) -> NDArray[np.float32]:
    """The signal cut, or filled with zeros at its end, to `length` values."""
    return np.pad(signal[:length], (0, max(0, length - len(signal))))


def _table(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(read_bytes(path, Unreadable).decode("utf-8", errors="replace").splitlines()))
    for number, row in enumerate(rows, start=2):
        if row.get("label") not in LABELS or row.get("split") not in ("train", "val", "test"):
            raise Unreadable(f"'{path}', line {number}: no known label and split.")
    if not rows:
        raise Unreadable(f"'{path}' is empty.")
    return rows


def _clips(path: Path, names: list[str]) -> NDArray[np.float32]:
    try:
        with zipfile.ZipFile(path) as archive:
            return np.stack([fitted(read_wav(archive.read(name), f"{path}:{name}")) for name in names])
    except (zipfile.BadZipFile, EOFError, KeyError, OSError) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"Fetch '{path.name}' again.") from err
