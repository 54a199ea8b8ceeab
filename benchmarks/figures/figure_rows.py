"""The rows of benchmarks: what a figure was, in which commit, on which machine, with its raw values.

A benchmark calls `record`. Rows go to `.bench/rows.jsonl`, which git ignores; `python -m benchmarks.figures --keep`
copies the newest of each figure to `benchmarks/figures/rows.jsonl`, which is what docs/performance.md shows.
"""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
MEASURED: Final = ROOT / ".bench" / "rows.jsonl"
KEPT: Final = Path(__file__).with_name("rows.jsonl")


class FigureRow(msgspec.Struct, frozen=True):
    """One measurement of a figure, in its unit.

    `raw` has the values that the figure was computed from. `commit` ends with `+` if files had been changed since.
    `load` is the load average of the machine when the benchmark had ended.
    """

    key: str
    value: float
    raw: dict[str, Any]
    commit: str
    created: str
    machine: str = ""
    load: float | None = None
    schema_version: int = 1


def record(key: str, value: float, path: Path = MEASURED, **raw: Any) -> FigureRow:
    """Append a row, and print the figure next to its goal.

    Raises:
        KeyError: No figure has this key.
    """
    from benchmarks.figures.goals import FIGURES

    figure = FIGURES[key]
    row = FigureRow(key, value, raw, commit(), now(), machine(), round(os.getloadavg()[0], 2))
    add([row], path)
    said = "met" if figure.is_met(value) else "missed"
    print(f"{key}: {figure.shown(value)}, goal {figure.limit}: {said}", flush=True)
    return row


def add(rows: Iterable[FigureRow], path: Path) -> None:
    """Append rows, one line each."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as stream:
        for row in rows:
            stream.write(msgspec.json.encode(row) + b"\n")


def read(path: Path) -> list[FigureRow]:
    """The rows of a file, oldest first; none if it does not exist."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    return [msgspec.json.decode(line, type=FigureRow) for line in lines]


def newest(rows: Iterable[FigureRow]) -> dict[str, FigureRow]:
    """The last row of each figure by its time."""
    return {row.key: row for row in sorted(rows, key=lambda row: row.created)}


def keep(measured: Path = MEASURED, kept: Path = KEPT) -> None:
    """Rewrite what is kept: the newest row of each figure, in the order of their keys."""
    rows = newest([*read(kept), *read(measured)])
    kept.unlink(missing_ok=True)
    add((rows[key] for key in sorted(rows)), kept)


def commit() -> str:
    """The short name of the commit, with a `+` if tracked files differ from it; empty outside of git."""
    named = _git("rev-parse", "--short=7", "HEAD")
    return f"{named}+" if named and _git("status", "--porcelain", "--untracked-files=no") else named


def commit_of(path: Path) -> tuple[str, str]:
    """The last commit that changed a file, and its day; both empty outside of git."""
    found = _git("log", "-1", "--format=%h %cs", "--abbrev=7", "--", str(path)).split()
    return (found[0], found[1]) if found else ("", "")


def now() -> str:
    """The time in UTC, e.g. `2026-12-03T14:05:00+00:00`."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def machine() -> str:
    """What kind of machine this is, without its name."""
    from edgekit.core.reports.tuning import device_kind
    from edgekit.flows.opening.devices import open_device

    with open_device("local") as device:
        return device_kind(device.facts())


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
