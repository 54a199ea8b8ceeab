"""Time series in csv files: hourly data of a transformer station (ETT), and a sensor with labelled faults (NAB)."""

from __future__ import annotations

import csv
import itertools
import json
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import Unreadable
from edgekit.core.samples import Samples
from edgekit.core.system.files import read_bytes
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.data.dataset_files import find

Floats = NDArray[np.float32]

ETT = "ETTh1.csv"
ETT_COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
ETT_TERMS = "ETTh1 is CC BY-ND 4.0"
HOURS_IN, HOURS_OUT = 96, 24
MONTH = 30 * 24

NAB_SERIES = "realKnownCause/machine_temperature_system_failure.csv"
NAB_FILES = (f"data/{NAB_SERIES}", "labels/combined_windows.json")
NAB_LICENCE = "MIT (Numenta: Numenta Anomaly Benchmark)"
NAB_SHARE = 0.15
NAB_WINDOW = 288  # one day of 5 minutes


def ett(data: Path | None = None) -> Dataset:
    """96 hours of seven columns as input, the next 24 hours of the oil temperature (OT) as target; in original units.

    Twelve months for training, then four for validation and four for testing, as split by the authors of the data. The
    target of a window is always in the same split.
    """
    folder = find("ett", (ETT,), data)
    _, values = read_series(folder / ETT, "date", ETT_COLUMNS)
    ends = (0, 12 * MONTH, 16 * MONTH, 20 * MONTH)
    parts = [_windows(values[max(begin - HOURS_IN, 0) : end]) for begin, end in itertools.pairwise(ends)]
    return dataset(parts[0], parts[2], source="ETTh1", licence="CC BY-ND 4.0", validation=parts[1])


def machine_temperature(data: Path | None = None) -> Dataset:
    """Days of a machine's temperature, shape (S, 288); the first 15 % for training, without labels.

    The rest is the test split: one day every half hour, positive (1) if it overlaps a labelled fault.
    """
    folder = find("nab", NAB_FILES, data)
    times, values = read_series(folder / NAB_FILES[0], "timestamp", ("value",))
    faults = _faults(folder / NAB_FILES[1])
    border = int(NAB_SHARE * len(values))
    train = np.lib.stride_tricks.sliding_window_view(values[:border, 0], NAB_WINDOW)
    test = np.lib.stride_tricks.sliding_window_view(values[border:, 0], NAB_WINDOW)[::6]
    begins = times[border : border + len(values[border:]) - NAB_WINDOW + 1 : 6]
    closes = times[border + NAB_WINDOW - 1 :: 6]
    labels = [int(any(a <= last and first <= b for a, b in faults)) for first, last in zip(begins, closes, strict=True)]
    return dataset(
        Samples({"window": train.copy()}, None, {"rebuilt": train.copy()}),
        Samples({"window": test.copy()}, np.array(labels, dtype=np.int64), {"rebuilt": test.copy()}),
        source="nab machine_temperature_system_failure",
        licence=NAB_LICENCE,
    )


def read_series(path: Path, time: str, columns: tuple[str, ...]) -> tuple[list[datetime], Floats]:
    """The times, and the values (rows, columns), of a csv file with a header.

    Raises:
        Unreadable: A column is missing, or a value is not a number; the message has its line.
    """
    lines = read_bytes(path, Unreadable).decode("utf-8", errors="replace").splitlines()
    rows = csv.DictReader(lines)
    missing = [name for name in (time, *columns) if name not in (rows.fieldnames or ())]
    if missing:
        raise Unreadable(f"'{path}' has no column '{missing[0]}'.")
    times, values = [], []
    for row in rows:
        try:
            times.append(datetime.fromisoformat(row[time]))
            values.append([float(row[name]) for name in columns])
        except (ValueError, TypeError) as err:
            raise Unreadable(f"'{path}', line {rows.line_num}: {err}.") from err
    if not values:
        raise Unreadable(f"'{path}' has no rows.")
    return times, np.array(values, dtype=np.float32)


def _windows(values: Floats) -> Samples:
    """Every window of `HOURS_IN` rows with the `HOURS_OUT` values of the last column that follow it."""
    count = len(values) - HOURS_IN - HOURS_OUT + 1
    view = np.lib.stride_tricks.sliding_window_view(values, HOURS_IN, axis=0)[:count].transpose(0, 2, 1)
    after = np.lib.stride_tricks.sliding_window_view(values[HOURS_IN:, -1], HOURS_OUT)
    return Samples({"history": np.ascontiguousarray(view)}, None, {"forecast": np.ascontiguousarray(after)})


def _faults(path: Path) -> list[tuple[datetime, datetime]]:
    try:
        windows = json.loads(read_bytes(path, Unreadable))[NAB_SERIES]
        return [(datetime.fromisoformat(first), datetime.fromisoformat(last)) for first, last in windows]
    except (ValueError, KeyError, TypeError) as err:
        raise Unreadable(f"'{path}' contains no label windows for '{NAB_SERIES}': {err}.") from err
