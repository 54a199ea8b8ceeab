"""Speech Commands: one-second words at 16 kHz, as a zip of wav files with a table of labels and speakers."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Samples
from edgekit.core.system.files import read_bytes
from edgekit.runtime.readers import fitted, read_wav
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.dataset_files import find

ARCHIVE = "speech_commands12_subset.zip"
TABLE = "labels.csv"
FILES = (TABLE, ARCHIVE)
LICENCE = "CC BY 4.0 (Pete Warden, Google: Speech Commands v0.02)"
LABELS = ("_silence_", "_unknown_", "down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")
RATE = 16_000
SAMPLES = 16_000


def speech_commands12(data: Path | None = None) -> Dataset:
    """Audio float32 (S, 16000) from -1 to 1 in twelve classes; every speaker is in one split only."""
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


def _table(path: Path) -> list[dict[str, str]]:
    rows = list(csv.DictReader(read_bytes(path, Unreadable).decode("utf-8", errors="replace").splitlines()))
    for number, row in enumerate(rows, start=2):
        if row.get("label") not in LABELS or row.get("split") not in ("train", "val", "test"):
            raise Unreadable(f"'{path}', line {number}: unknown label or split.")
    if not rows:
        raise Unreadable(f"'{path}' is empty.")
    return rows


def _clips(path: Path, names: list[str]) -> NDArray[np.float32]:
    try:
        with zipfile.ZipFile(path) as archive:
            return np.stack(
                [
                    fitted(read_wav(archive.read(name), f"{path}:{name}", rate=RATE, error=Unreadable), SAMPLES)
                    for name in names
                ]
            )
    except (zipfile.BadZipFile, EOFError, KeyError, OSError) as err:
        raise Unreadable(f"'{path}' is truncated or damaged: {err}.", hint=f"Download '{path.name}' again.") from err
