"""Reads a folder of images or sounds: the class is the subfolder, or a column of a csv of `file,label`."""

from __future__ import annotations

import wave
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import LABEL, TARGET, Array
from edgekit.core.spec.input_kinds import AudioInput, ImageInput, Preprocessing
from edgekit.core.system.files import read_bytes
from edgekit.flows.reading.class_labels import indices_of
from edgekit.flows.reading.held import UNNAMED, Held
from edgekit.flows.reading.preprocess_option import EXAMPLE_IMAGE
from edgekit.flows.reading.sample_tables import (
    FILE_COLUMNS,
    TRANSCRIPTS,
    file_column,
    label_column,
    label_values,
    read_columns,
)
from edgekit.runtime.preprocessing import IMAGE_SUFFIXES, image_tensor, read_pixels
from edgekit.runtime.readers import BROKEN_WAV, fitted, read_wav, said_of
from edgekit.runtime.tasks.transcripts import TEXT

SOUND_SUFFIXES: Final = (".wav",)
# Photos are read as float32 inputs: 1 GiB is 1,783 of 224 x 224.
MOST_BYTES: Final = 1 << 30
_SPLITS: Final = ("test", "val", "valid", "validation", "eval", "train", "training")


class _Files(NamedTuple):
    """Files with their class indices and the names of the classes, or with the text of each."""

    files: list[Path]
    labels: Array | None = None
    class_names: tuple[str, ...] = ()
    texts: Array | None = None


def read_folder(folder: Path, how: Preprocessing | None, labels: Sequence[str] = ()) -> Held:
    """The images or sounds of a folder, in sorted order.

    A subfolder is a class, and its index is its place among the sorted names, or in `labels`. A csv with the columns
    `file` and `label` in the folder names the classes of files in it.

    Raises:
        UserError: No files, several kinds, files next to subfolders, splits instead of classes, or no `how`.
    """
    tables = [path for path in sorted(folder.glob("*.csv")) if file_column(path)]
    if len(tables) > 1:
        raise UserError(f"'{folder}' contains {len(tables)} lists of files.", hint=f"--samples {tables[0]}")
    return read_list(tables[0], how, labels) if tables else _read(folder, _by_subfolder(folder, labels), how)


def read_list(table: Path, how: Preprocessing | None, labels: Sequence[str] = ()) -> Held:
    """The images or sounds that a csv lists, relative to it, with their labels, or else with what is written there.

    Raises:
        UserError: A file is missing, or as in `read_folder`.
    """
    columns = read_columns(table)
    files = [table.parent / text for text in columns[next(name for name in FILE_COLUMNS if name in columns)]]
    missing = next((file for file in files if not file.is_file()), None)
    if missing is not None:
        raise UserError(f"'{table}' lists '{missing.relative_to(table.parent)}', which does not exist.")
    name = label_column(table, columns)
    if name:
        return _read(table, _Files(files, *label_values(columns[name], labels)), how)
    texts = next((np.array(columns[given]) for given in TRANSCRIPTS if given in columns), None)
    return _read(table, _Files(files, class_names=tuple(labels), texts=texts), how)


def read_transcribed(
    folder: Path, texts: Mapping[str, str], alphabet: Sequence[str], how: Preprocessing | None
) -> Held:
    """The images or sounds of `folder` that `texts` names, with the text of each.

    Raises:
        UserError: A file is missing or outside of the folder, or as in `read_folder`.
    """
    files = [folder / name for name in texts]
    for name, file in zip(texts, files, strict=True):
        if folder.resolve() not in file.resolve().parents or not file.is_file():
            raise UserError(f"There is no file '{name}' in '{folder}'.", hint="--samples FOLDER")
    return _read(folder, _Files(files, class_names=tuple(alphabet), texts=np.array(list(texts.values()), np.str_)), how)


def _by_subfolder(folder: Path, labels: Sequence[str]) -> _Files:
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (*IMAGE_SUFFIXES, *SOUND_SUFFIXES)]
    files = [path for path in files if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    if not files:
        kinds = ", ".join((*IMAGE_SUFFIXES, *SOUND_SUFFIXES))
        raise UserError(f"'{folder}' contains no images or sounds ({kinds}).", hint="--samples FILE.npz")
    owners = [path.relative_to(folder).parts[0] if path.parent != folder else "" for path in files]
    names = tuple(sorted(set(owners)))
    if names == ("",):
        return _Files(files)
    if "" in names:
        loose = files[owners.index("")].name
        raise UserError(
            f"'{folder}' contains files such as '{loose}' next to subfolders, which are classes.",
            hint=f"Move them, or write {folder}/labels.csv with the columns file,{LABEL}.",
        )
    _refuse_splits(folder, names)
    return _Files(files, indices_of(owners, labels or names), tuple(labels) or names)


def _refuse_splits(folder: Path, names: Sequence[str]) -> None:
    splits = [one for name in _SPLITS for one in names if one.lower() == name]
    if splits and len(splits) == len(names):
        raise UserError(
            f"The subfolders of '{folder}' are splits, not classes.", hint=f"--samples {folder / splits[0]}"
        )


class FileValues(NamedTuple):
    """Inputs (S, ...) of the files at `rows`, how they were read, and that some were left out."""

    values: Array
    rows: list[int]
    how: Preprocessing | None
    warnings: tuple[str, ...]


def read_files(origin: Path, files: Sequence[Path], how: Preprocessing | None) -> FileValues:
    """The inputs that images or sounds become; of more than fit into `MOST_BYTES`, an even share.

    Raises:
        UserError: Several kinds, or no `how` for images.
    """
    kinds = {path.suffix.lower() in SOUND_SUFFIXES for path in files}
    if len(kinds) > 1:
        raise UserError(f"'{origin}' contains images and sounds; a model takes one of them.")
    how = _sound(files, how) if kinds == {True} else how
    read = _reader(origin, how, is_sound=kinds == {True})
    first = read(files[0])
    rows = _rows(len(files), first.nbytes)
    values = np.stack([first if row == 0 else read(files[row]) for row in rows])
    left = f"Of the {len(files):,} files in '{origin}', {len(rows):,} were read, evenly spaced: 1 GiB of inputs."
    return FileValues(values, rows, how, (left,) if len(rows) < len(files) else ())


def _read(origin: Path, found: _Files, how: Preprocessing | None) -> Held:
    """The inputs with their labels."""
    read = read_files(origin, found.files, how)
    arrays: dict[str, Array] = {UNNAMED: read.values}
    if found.labels is not None:
        arrays[LABEL] = found.labels[read.rows]
    if found.texts is not None:
        arrays[f"{TARGET}{TEXT}"] = found.texts[read.rows]
    return Held(origin, arrays, found.class_names, read.how, read.warnings)


def _rows(count: int, size_bytes: int) -> list[int]:
    most = max(2, min(count, MOST_BYTES // max(1, size_bytes)))
    return [int(row) for row in np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))]


def _reader(origin: Path, how: Preprocessing | None, *, is_sound: bool) -> Callable[[Path], Array]:
    if isinstance(how, ImageInput) and not is_sound:
        return lambda path: image_tensor(read_pixels(path, how), how)[0]
    if isinstance(how, AudioInput) and is_sound:
        return lambda path: fitted(read_wav(read_bytes(path), str(path), rate=how.rate), how.length)
    if is_sound:
        raise UserError(f"'{origin}' contains sounds, but --preprocess is for images.", hint="Omit --preprocess.")
    raise UserError(
        f"'{origin}' contains images: --preprocess says how one becomes an input.",
        hint=f"--preprocess '{EXAMPLE_IMAGE}'",
    )


def _sound(files: Sequence[Path], how: Preprocessing | None) -> Preprocessing:
    """The rate that all sounds have, and the length of the longest, where `how` does not say them."""
    if how is not None and not (isinstance(how, AudioInput) and how.length == 0):
        return how
    facts = [_rate_and_length(path) for path in files]
    rates = {rate for rate, _ in facts}
    if len(rates) > 1:
        raise UserError(f"The sounds have several rates: {', '.join(map(str, sorted(rates)))} Hz.")
    return AudioInput(how.rate if how else rates.pop(), max(length for _, length in facts))


def _rate_and_length(path: Path) -> tuple[int, int]:
    try:
        with wave.open(str(path), "rb") as file:
            return file.getframerate(), file.getnframes()
    except BROKEN_WAV as err:
        raise UserError(f"'{path}' is not a wav file: {said_of(err)}.") from err
