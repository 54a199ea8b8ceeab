"""Finds runs in the store."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, Select, Table, func, select, union
from sqlalchemy.sql.elements import ColumnElement

from edgekit.core.errors import Unreadable, UserError
from edgekit.core.reports.kept import Keepable, KeptLatency, KeptRun, KeptVerdict, decode_kept
from edgekit.core.system.native.types import prepared
from edgekit.store.database import Store
from edgekit.store.schema import DOCUMENTS, MEASUREMENTS, MODELS, RUNS, VERDICTS

# How many runs are read at once where all are read.
_PART: Final = 500
_RUN: Final = select(
    RUNS.c.id.label("number"),
    RUNS.c.created,
    RUNS.c.command,
    func.coalesce(MODELS.c.name, "").label("model"),
    RUNS.c.subject,
    RUNS.c.commit_id.label("commit"),
    RUNS.c.branch,
    RUNS.c.verdict,
    RUNS.c.edgekit,
    DOCUMENTS.c.run_id.is_not(None).label("has_report"),
).select_from(RUNS.outerjoin(MODELS).outerjoin(DOCUMENTS))
_LATENCY: Final = select(MEASUREMENTS, func.coalesce(MODELS.c.name, "").label("model")).select_from(
    MEASUREMENTS.outerjoin(MODELS)
)


def newest(
    store: Store, *, limit: int, model: str = "", target: str = "", branch: str = ""
) -> tuple[tuple[KeptRun, ...], int]:
    """The newest runs with their latencies and verdicts, newest first, and the number of all.

    Args:
        limit: At most this many.
        model: Only those of the model of this name.
        target: Only those that measured on this target.
        branch: Only those of this branch.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`.
    """
    asked = asked_for(model, target, branch)
    with store.reading() as connection:
        total = connection.scalar(select(func.count()).select_from(RUNS).where(*asked))
        return _runs(connection, newest_first(asked).limit(limit)), int(total or 0)


def asked_for(model: str, target: str, branch: str) -> list[ColumnElement[bool]]:
    """The conditions for runs of a model, on a target and of a branch; none for empty texts."""
    found: list[ColumnElement[bool]] = []
    if model:
        named = select(MODELS.c.id).where(MODELS.c.name == model)
        whole = select(RUNS.c.id).where(RUNS.c.model_id.in_(named))
        parts = select(MEASUREMENTS.c.run_id).where(MEASUREMENTS.c.model_id.in_(named))
        found.append(RUNS.c.id.in_(union(whole, parts)))
    if target:
        found.append(RUNS.c.id.in_(select(MEASUREMENTS.c.run_id).where(MEASUREMENTS.c.target == target)))
    if branch:
        found.append(RUNS.c.branch == branch)
    return found


def newest_first(asked: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """The question for runs that meet conditions."""
    return _RUN.where(*asked).order_by(RUNS.c.created.desc(), RUNS.c.id.desc())


def runs_of(connection: Connection, numbers: Sequence[int]) -> tuple[KeptRun, ...]:
    """The runs of these numbers with their latencies and verdicts, in no order."""
    return _runs(connection, _RUN.where(RUNS.c.id.in_(numbers)))


def all_runs(store: Store) -> Iterator[KeptRun]:
    """Every run in the order in which they were kept; errors as in `newest`."""
    last = 0
    with store.reading() as connection:
        while found := _runs(connection, _RUN.where(RUNS.c.id > last).order_by(RUNS.c.id).limit(_PART)):
            yield from found
            last = found[-1].number


def run_of(store: Store, number: int) -> tuple[KeptRun, Keepable | None]:
    """The run of this number, and its whole report with all raw values if that is still kept.

    Raises:
        UserError: There is none.
        EnvironmentFault, Unreadable: As in `open_store`; the report is damaged, or of a newer edgekit.
    """
    with store.reading() as connection:
        found = _run(connection, number)
        content = connection.scalar(select(DOCUMENTS.c.content).where(DOCUMENTS.c.run_id == number))
    return found, None if content is None else _report(number, content)


def run_without_report(store: Store, number: int) -> KeptRun:
    """The run of this number; its whole report is not read, and may be damaged. Other errors as in `run_of`."""
    with store.reading() as connection:
        return _run(connection, number)


def _run(connection: Connection, number: int) -> KeptRun:
    found = runs_of(connection, [number])
    if not found:
        raise UserError(f"The history has no run {number}.", hint="edgekit history list")
    return found[0]


def _report(number: int, content: bytes) -> Keepable:
    what = f"The report of run {number}"
    try:
        data = zlib.decompress(content)
    except zlib.error as err:
        raise Unreadable(f"{what} is damaged: {err}.") from err
    return decode_kept(data, what)


def _runs(connection: Connection, wanted: Select[Any]) -> tuple[KeptRun, ...]:
    found = connection.execute(wanted).mappings().all()
    numbers = [row["number"] for row in found]
    latency = _of_runs(connection, _LATENCY, MEASUREMENTS, numbers)
    verdicts = _of_runs(connection, select(VERDICTS), VERDICTS, numbers)
    return tuple(
        _struct(
            KeptRun,
            row,
            latency=tuple(_struct(KeptLatency, one) for one in latency.get(row["number"], ())),
            verdicts=tuple(_struct(KeptVerdict, one) for one in verdicts.get(row["number"], ())),
        )
        for row in found
    )


def _of_runs(
    connection: Connection, wanted: Select[Any], table: Table, numbers: Sequence[int]
) -> dict[int, list[RowMapping]]:
    """The rows of runs, by run, in the order in which they were kept."""
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(wanted.where(table.c.run_id.in_(numbers)).order_by(table.c.id)).mappings():
        found.setdefault(row["run_id"], []).append(row)
    return found


def _struct(kind: Any, row: RowMapping, **given: Any) -> Any:
    values = {name: row[name] for name in kind.__struct_fields__ if name in row and name not in given}
    try:
        found = msgspec.convert(values, prepared(kind))
    except msgspec.ValidationError as err:
        raise Unreadable(f"The history is damaged: {err}.") from err
    return msgspec.structs.replace(found, **given)
