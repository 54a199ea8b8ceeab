"""The lines of `edgekit check` in the store, by project: runs of gates, and levels that were accepted."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import select

from edgekit.core.errors import Unreadable
from edgekit.core.reports.history import Line
from edgekit.core.system.documents import BROKEN_JSON
from edgekit.core.system.files import sha256_bytes
from edgekit.core.system.native.types import prepared
from edgekit.store.database import Store
from edgekit.store.recording import add_row
from edgekit.store.schema import LINES


def add_lines(store: Store, project: str, lines: Iterable[Line]) -> int:
    """Add those lines of a project that are not in the store: how many these were.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`; no line is then added.
    """
    with store.writing() as connection:
        return sum(add_row(connection, LINES, _row(project, line))[1] for line in lines)


def lines_of(store: Store, project: str) -> tuple[Line, ...]:
    """The lines of a project in the order in which they were added.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`; or a line is damaged, or of a newer edgekit.
    """
    wanted = select(LINES.c.id, LINES.c.content).where(LINES.c.project == project).order_by(LINES.c.id)
    with store.reading() as connection:
        return tuple(_line(number, content) for number, content in connection.execute(wanted))


def _row(project: str, line: Line) -> dict[str, str]:
    content = msgspec.json.encode(line).decode()
    return {"digest": sha256_bytes(f"{project}\n{content}".encode()), "project": project, "content": content}


def _line(number: int, content: str) -> Line:
    try:
        found: Line = msgspec.json.decode(content, type=prepared(Line))
    except BROKEN_JSON as err:
        raise Unreadable(f"Line {number} of the history is damaged, or of a newer edgekit: {err}.") from err
    return found
