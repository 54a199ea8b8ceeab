"""Removes whole reports from the store; the figures of their runs stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select

from edgekit.store.database import Store
from edgekit.store.schema import DOCUMENTS, RUNS


def prunable(store: Store, *, days: int | None, keep: int | None) -> tuple[int, int, int]:
    """How many reports `prune` would remove, their size in the store in bytes, and how many would be left."""
    with store.reading() as connection:
        return _counted(connection, _asked(days, keep))


def prune(store: Store, *, days: int | None, keep: int | None) -> tuple[int, int, int]:
    """Remove whole reports, and give the space in a SQLite file back; numbers as in `prunable`.

    Args:
        days: Those of runs that are older than this.
        keep: Those that are not among this many newest ones.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`; nothing is then removed.
    """
    asked = _asked(days, keep)
    with store.writing() as connection:
        counted = _counted(connection, asked)
        connection.execute(delete(DOCUMENTS).where(asked))
    store.compact()
    return counted


def _asked(days: int | None, keep: int | None) -> ColumnElement[bool]:
    """The condition for documents that go."""
    found: list[ColumnElement[bool]] = []
    if days is not None:
        before = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        found.append(DOCUMENTS.c.run_id.in_(select(RUNS.c.id).where(RUNS.c.created < before)))
    if keep is not None:
        stay = select(RUNS.c.id).join(DOCUMENTS).order_by(RUNS.c.created.desc(), RUNS.c.id.desc()).limit(keep)
        found.append(DOCUMENTS.c.run_id.not_in(stay))
    return or_(*found)


def _counted(connection: Connection, asked: ColumnElement[bool]) -> tuple[int, int, int]:
    size = func.coalesce(func.sum(func.length(DOCUMENTS.c.content)), 0)
    removed, size_bytes = connection.execute(select(func.count(), size).where(asked)).one()
    every = connection.scalar(select(func.count()).select_from(DOCUMENTS)) or 0
    return int(removed), int(size_bytes), int(every) - int(removed)
