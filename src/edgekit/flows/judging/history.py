"""The history of a gate: an append-only file with one JSON line per run or acceptance, oldest first."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import Unreadable, from_os_error
from edgekit.core.reports.history import HISTORY_SCHEMA, Line, Point, Run
from edgekit.core.system.check_settings import CheckFile
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.durable.appended import append_line, read_lines
from edgekit.core.system.installation import origin
from edgekit.core.system.native.types import prepared

_log = logging.getLogger(__name__)
_TORN: Final = "it ends in the middle, as a killed command or a full disk leaves it."


def history_file(config: Path, file: CheckFile) -> Path:
    """The history file of a configuration."""
    return config.parent / file.history


def read_history(path: Path) -> tuple[Line, ...]:
    """Every line, oldest first; none where there is no file. A torn last line is left out, and the log says so.

    Raises:
        Unreadable: A line is damaged, or of a newer schema; the message has its number.
        EnvironmentFault: The file cannot be read.
    """
    try:
        lines, torn = read_lines(path)
    except OSError as err:
        raise from_os_error(err, f"reading '{path}'") from err
    found = [_line(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if torn and _is_line(torn):
        found.append(_line(path, len(lines) + 1, torn))
    elif torn:
        _log.warning("Line %d of '%s' is left out: %s", len(lines) + 1, path, _TORN)
    return tuple(found)


def append(path: Path, line: Line) -> str:
    """Add one line at the end, or leave the file unchanged; the warning, if a torn line was set aside for it.

    Raises:
        DiskFull, EnvironmentFault: The file cannot be written.
    """
    try:
        aside = append_line(path, msgspec.json.encode(line), is_whole=_is_line)
    except OSError as err:
        raise from_os_error(err, f"writing '{path}'") from err
    return f"The last line of '{path}' was moved to '{aside}': {_TORN}" if aside else ""


def points(lines: Sequence[Line], series: str) -> list[Point]:
    """The values of a series, oldest first, since it was last accepted.

    The first are those that were accepted: the last value, and those since the series was outside of its level.
    """
    found: list[Point] = []
    for line in lines:
        if isinstance(line, Run):
            found += [_point(line, series)] if series in line.values else []
        elif series.partition("/")[0] in line.models:
            found = _accepted(found)
    return found


def comparable(found: Sequence[Point], sizes: Mapping[str, int], *, unknown: bool) -> list[Point]:
    """The points that were measured at `sizes`; `unknown` says whether those that did not record theirs are."""
    return [one for one in found if (unknown if one.sizes is None else one.sizes == sizes)]


def level_of(found: Sequence[Point]) -> list[float]:
    """The values that a series is judged by: those of runs within its level."""
    return [one.value for one in found if not one.outside]


def red_since(found: Sequence[Point]) -> int:
    """The place of the first of the last points that are all outside of the level; the length if the last is within."""
    return next((place + 1 for place in reversed(range(len(found))) if not found[place].outside), 0)


def _accepted(found: Sequence[Point]) -> list[Point]:
    first = min(red_since(found), max(len(found) - 1, 0))
    return [msgspec.structs.replace(one, outside=False) for one in found[first:]]


def _point(run: Run, series: str) -> Point:
    return Point(run.values[series], run.created, run.commit, run.sizes.get(series), series in run.outside)


def in_a_row(lines: Sequence[Line], check: str) -> int:
    """How many runs in a row, up to the latest, left this check undecided."""
    runs = [line for line in lines if isinstance(line, Run) and check in line.checks]
    return next((place for place, run in enumerate(reversed(runs)) if check not in run.inconclusive), len(runs))


def _is_line(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except BROKEN_JSON:
        return False
    return True


def _line(path: Path, number: int, text: bytes) -> Line:
    what = f"Line {number} of '{path}'"
    try:
        found: Line = msgspec.json.decode(text, type=prepared(Line))
    except BROKEN_JSON as err:
        raise Unreadable(f"{what} is damaged: {err}.", hint=f"Fix or remove line {number}.") from err
    if found.schema_version > HISTORY_SCHEMA:
        raise Unreadable(f"{what} has schema {found.schema_version}.", hint=origin().upgrade)
    return found
