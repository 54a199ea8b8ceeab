"""The lines of `edgekit check` in the store of runs, next to those in the project's own file."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from edgekit.core.errors import EdgekitError
from edgekit.core.reports.history import Line
from edgekit.core.system.settings import is_url
from edgekit.flows.keeping.runs import opened
from edgekit.flows.opening.repository import project_of

_log = logging.getLogger(__name__)


def with_kept_lines(lines: tuple[Line, ...], folder: Path, place: str) -> tuple[Line, ...]:
    """`lines` and those of the same project in the store, each once, oldest first.

    A store that cannot be read is a warning: the gate then judges by the lines of the file.

    Args:
        lines: Those in the file of the project.
        folder: The folder of its configuration.
        place: The store; an empty text for none.
    """
    if not place or (not is_url(place) and not Path(place).exists()):
        return lines
    try:
        with opened(place) as store:
            from edgekit.store.gate_lines import lines_of

            kept = lines_of(store, project_of(folder))
    except EdgekitError as err:
        _log.warning("The history is read without what others kept: %s", err.message)
        return lines
    # Within a second in the order in which they were added.
    return tuple(sorted((*kept, *_missing(kept, lines)), key=lambda line: line.created))


def keep_lines(lines: tuple[Line, ...], folder: Path, place: str) -> str:
    """Add those lines to the store that it does not have: a warning if that is not possible.

    Args:
        lines: All lines of the project, oldest first.
        folder: The folder of its configuration.
        place: The store; an empty text for none.
    """
    if not place:
        return ""
    try:
        with opened(place, make=True) as store:
            from edgekit.store.gate_lines import add_lines, lines_of

            project = project_of(folder)
            add_lines(store, project, _missing(lines_of(store, project), lines))
    except EdgekitError as err:
        return f"The run is not added to the shared history: {err.message}"
    return ""


def _missing(kept: tuple[Line, ...], lines: tuple[Line, ...]) -> list[Line]:
    known = set(map(msgspec.json.encode, kept))
    return [line for line in lines if msgspec.json.encode(line) not in known]
