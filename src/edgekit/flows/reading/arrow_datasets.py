"""Reads a data set that the package datasets wrote with `save_to_disk`: its columns become inputs and labels."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array
from edgekit.core.spec.input_kinds import ImageInput, Preprocessing
from edgekit.core.system.files import read_bytes
from edgekit.core.system.optional import need
from edgekit.flows.reading.held import LABEL_NAMES, Held
from edgekit.flows.reading.preprocess_option import EXAMPLE_IMAGE
from edgekit.runtime.preprocessing import image_tensor, prepared

_STATE: Final = "state.json"
_INFO: Final = "dataset_info.json"
_SPLITS: Final = "dataset_dict.json"


def is_arrow_dataset(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder: one data set, or several splits."""
    return (folder / _STATE).is_file() or (folder / _SPLITS).is_file()


def read_arrow_dataset(folder: Path, how: Preprocessing | None) -> Held:
    """The columns of a data set by name: numbers as arrays, images as `how` says, `label` with its class names.

    Raises:
        UserError: Several splits, damaged files, an image without `how`, or a column that is neither.
        MissingExtra: pyarrow is not installed.
    """
    if (folder / _SPLITS).is_file():
        splits = sorted(path.parent.name for path in folder.glob(f"*/{_STATE}"))
        raise UserError(f"'{folder}' contains splits.", hint=f"--samples {folder / (splits or ['test'])[-1]}")
    table, features = _table(folder), _json(folder / _INFO).get("features")
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    names = next((_class_names(features, name) for name in LABEL_NAMES if name in columns), ())
    return Held(folder, {name: _array(folder, name, values, how) for name, values in columns.items()}, names)


def _table(folder: Path) -> Any:
    pyarrow = need("pyarrow", extra="datasets")
    ipc = need("pyarrow.ipc", extra="datasets")
    tables = []
    entries = _json(folder / _STATE).get("_data_files")
    for entry in entries if isinstance(entries, list) else ():
        try:
            tables.append(ipc.open_stream(read_bytes(folder / Path(entry["filename"]).name)).read_all())
        except (pyarrow.ArrowInvalid, KeyError, TypeError) as err:
            raise UserError(f"'{folder}' is damaged: {err}.") from err
    if not tables:
        raise UserError(f"'{folder}' lists no data files in {_STATE}.")
    return pyarrow.concat_tables(tables)


def _json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as err:
        raise UserError(f"'{path}' is not JSON: {err}.") from err
    return found if isinstance(found, dict) else {}


def _class_names(features: object, column: str) -> tuple[str, ...]:
    feature = features.get(column) if isinstance(features, dict) else None
    names = feature.get("names") if isinstance(feature, dict) else None
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _array(folder: Path, name: str, values: Sequence[object], how: Preprocessing | None) -> Array:
    if values and isinstance(values[0], dict) and "bytes" in values[0]:
        return _images(folder, name, values, how)
    try:
        found = np.array(values)
    except ValueError as err:
        raise UserError(f"Column '{name}' of '{folder}' has rows of different lengths.") from err
    if found.dtype.kind not in "biufU":
        raise UserError(
            f"Column '{name}' of '{folder}' contains neither numbers, text nor images.",
            hint=f"dataset.remove_columns('{name}').save_to_disk(DIR)",
        )
    return found


def _images(folder: Path, name: str, values: Sequence[Any], how: Preprocessing | None) -> Array:
    if not isinstance(how, ImageInput):
        message = f"Column '{name}' of '{folder}' contains images: --preprocess says how one becomes an input."
        raise UserError(message, hint=f"--preprocess '{EXAMPLE_IMAGE}'")
    opened = need("PIL.Image", extra="images").open
    made = []
    for value in values:
        data = value["bytes"] or read_bytes(Path(value["path"]))
        with opened(io.BytesIO(data)) as image:
            made.append(image_tensor(prepared(image, how), how))
    return np.concatenate(made)
