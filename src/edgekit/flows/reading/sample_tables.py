"""Reads a csv file of samples: one row per sample, numbers as features, one column with the label."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import LABEL, Array
from edgekit.core.system.files import read_bytes
from edgekit.flows.reading.class_labels import indices_of
from edgekit.flows.reading.held import LABEL_NAMES, UNNAMED, Held

FILE_COLUMNS: Final = ("file", "file_name", "filename", "path")
# What people call the column of what is said or written in a file.
TRANSCRIPTS: Final = ("text", "transcription", "transcript", "sentence")
# What people call the columns that a network for texts reads; the first that are all there.
TEXT_NAMES: Final = (
    ("text", "text_pair"),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question", "context"),
    ("text",),
    ("sentence",),
)
_SEPARATORS: Final = (",", ";", "\t")

Columns = dict[str, list[str]]
"""The texts of a table by the name of their column."""


def read_columns(path: Path) -> Columns:
    """The columns of a csv file with a header, separated by commas, semicolons or tabs.

    Raises:
        UserError: No file, no header, a column without a name or twice, no rows, or a row of another length.
    """
    text = read_bytes(path).decode("utf-8-sig", errors="replace")
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    # Not `splitlines`: a quoted text may contain line ends.
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row]
    except csv.Error as err:
        raise UserError(f"'{path}' is not a csv: {err}.") from err
    names = [name.strip() for name in rows[0]] if rows else []
    if not names or any(map(_is_number, names)) or "" in names or len(set(names)) < len(names):
        raise UserError(
            f"'{path}' must begin with one different name per column, not '{first.strip()}'.",
            hint=f"First line: feature_1,feature_2,{LABEL}",
        )
    if len(rows) < 2:
        raise UserError(f"'{path}' has no rows.")
    wrong = next((line for line, row in enumerate(rows, 1) if len(row) != len(names)), None)
    if wrong is not None:
        raise UserError(f"'{path}', row {wrong}: {len(rows[wrong - 1])} values for {len(names)} columns.")
    return {name: [row[place].strip() for row in rows[1:]] for place, name in enumerate(names)}


def file_column(path: Path) -> str:
    """The name of the column that lists files; empty for a table of numbers."""
    columns = read_columns(path)
    return next((name for name in FILE_COLUMNS if name in columns), "")


def read_table(path: Path, labels: Sequence[str] = (), *, with_texts: bool = False) -> Held:
    """Numeric columns as features (S, F), in their order, and the column called like a label as the labels.

    Args:
        with_texts: The model reads texts: their columns are taken instead, those of `TEXT_NAMES` if there are any.

    Raises:
        UserError: As `read_columns`; two columns of labels, or a feature that is not a number.
    """
    columns = read_columns(path)
    name = label_column(path, columns)
    arrays: dict[str, Array] = _texts(columns, name) if with_texts else {}
    if not arrays:
        features = {column: _numbers(path, column, texts) for column, texts in columns.items() if column != name}
        if not features:
            raise UserError(f"'{path}' has no column of numbers besides '{name}'.")
        arrays = {UNNAMED: np.stack(list(features.values()), axis=1)}
    if not name:
        return Held(path, arrays)
    values, names = label_values(columns[name], labels)
    return Held(path, {**arrays, name: values}, names)


def label_column(path: Path, columns: Columns) -> str:
    """The column with the labels; empty if there is none.

    Raises:
        UserError: Several columns are called like labels.
    """
    found = [name for name in LABEL_NAMES if name in columns]
    if len(found) > 1:
        names = " and ".join(f"'{name}'" for name in found)
        raise UserError(f"'{path}' has the columns {names}: only one can be the label.", hint="Rename the others.")
    return found[0] if found else ""


def label_values(texts: Sequence[str], labels: Sequence[str] = ()) -> tuple[Array, tuple[str, ...]]:
    """A column of labels as numbers: integers, real numbers, or names as their index; and the names of the classes."""
    if all(map(_is_integer, texts)):
        return np.array([int(text) for text in texts], np.int64), ()
    if all(map(_is_number, texts)):
        return np.array([float(text) for text in texts], np.float32), ()
    names = tuple(labels) or tuple(sorted(set(texts)))
    return indices_of(texts, names), names


def _texts(columns: Columns, label: str) -> dict[str, Array]:
    known = next((names for names in TEXT_NAMES if set(names) <= set(columns)), ())
    found = known or [name for name, texts in columns.items() if name != label and not all(map(_is_number, texts))]
    return {name: np.array(columns[name]) for name in found}


def _numbers(path: Path, column: str, texts: Sequence[str]) -> NDArray[np.float32]:
    wrong = next((row for row, text in enumerate(texts) if not _is_number(text)), None)
    if wrong is not None:
        raise UserError(
            f"'{path}', row {wrong + 2}: '{texts[wrong]}' in column '{column}' is not a number.",
            hint=f"Leave the column out, or call it '{LABEL}' if it is the label.",
        )
    return np.array([float(text) for text in texts], np.float32)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_integer(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
