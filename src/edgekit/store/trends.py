"""What the pages of `edgekit serve` ask the store. Each question goes through an index, however many runs there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    CompoundSelect,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    func,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import CTE, FromClause

from edgekit.core.reports.kept import KeptRun
from edgekit.core.reports.kept_pages import KeptDevice, KeptSeries, PageFilter, SeriesPoint
from edgekit.core.reports.report import Estimate
from edgekit.core.verdict import Verdict, worst
from edgekit.store.database import Store
from edgekit.store.figures import of_version
from edgekit.store.reading import runs_of
from edgekit.store.schema import DEVICES, MEASUREMENTS, MODELS, RUNS, VERDICTS

# A run measures several things; this many rows hold a page of runs, or a page has fewer.
_ROWS_OF_A_RUN: Final = 20
_MOST_DEVICES: Final = 500
_KEY: Final = ("model_id", "target", "artifact")


@dataclass(frozen=True)
class SeriesFound:
    """A page of series, and the number of all that fit."""

    series: tuple[KeptSeries, ...]
    total: int


def overview(store: Store, shown: PageFilter, *, first: int, most: int) -> SeriesFound:
    """The newest measurement of every series, the series that was measured last first.

    Args:
        first: How many series are left out before the first one.
        most: At most this many.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`.
    """
    with store.reading() as connection:
        found = [row for row in _newest_rows(connection, shown) if fits(row, shown)]
        found.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
        points = _points(connection, [row["id"] for row in found[first : first + most]])
        return SeriesFound(tuple(_series(row, [point]) for row, point in points), len(found))


def trends(store: Store, shown: PageFilter, *, first: int, most: int, points: int) -> SeriesFound:
    """Series with their newest measurements, oldest first in each; arguments and errors as in `overview`.

    Args:
        points: At most this many measurements of each series.
    """
    with store.reading() as connection:
        keys = [row for row in _newest_rows(connection, shown) if fits(row, shown)]
        keys.sort(key=lambda row: (row["model"], row["target"], row["artifact"], row["model_id"]))
        wanted = keys[first : first + most]
        numbers = connection.scalars(of_series(wanted, points, shown)).all() if wanted else []
        grouped: dict[tuple[Any, ...], list[tuple[RowMapping, SeriesPoint]]] = {}
        for row, point in _points(connection, numbers):
            grouped.setdefault(tuple(row[name] for name in _KEY), []).append((row, point))
        series = [_series(rows[0][0], [point for _, point in reversed(rows)]) for rows in grouped.values()]
        series.sort(key=lambda one: (one.model, one.target, one.artifact))
        return SeriesFound(tuple(series), len(keys))


def newest_that_fit(store: Store, shown: PageFilter, *, before: str, most: int) -> tuple[tuple[KeptRun, ...], str]:
    """Runs that fit a filter, newest first, and where the next ones begin; empty if these are the last.

    Args:
        before: What the page before returned; empty for the newest ones.

    Raises:
        EnvironmentFault, Unreadable: As in `open_store`.
    """
    with store.reading() as connection:
        models = _model_numbers(connection, shown.model) if shown.model else [None]
        parts = [connection.execute(runs_that_fit(shown, model, before, most)).all() for model in models]
        # Below the end of a part that was cut off, it would lack runs that other parts have.
        ends = [(part[-1].created, part[-1].run_id) for part in parts if len(part) >= most * _ROWS_OF_A_RUN]
        rows = [row for part in parts for row in part if not ends or (row.created, row.run_id) >= max(ends)]
        rows.sort(key=lambda row: (row.created, row.run_id), reverse=True)
        numbers = list(dict.fromkeys(row.run_id for row in rows))
        found = sorted(runs_of(connection, numbers[:most]), key=lambda run: (run.created, run.number), reverse=True)
        is_whole = len(numbers) <= most and not ends
        last = found[-1] if found and not is_whole else None
        return tuple(found), f"{last.created} {last.number}" if last else ""


def every_name(store: Store) -> tuple[tuple[str, ...], ...]:
    """What a filter offers: models, targets and artifacts of series, branches of runs, backend versions, each sorted.

    Errors as in `overview`.
    """
    with store.reading() as connection:
        rows = _newest_rows(connection, PageFilter())
        found = [connection.scalars(every_value(column)).all() for column in (RUNS.c.branch, MEASUREMENTS.c.engine)]
    names = [sorted({row[name] for row in rows}) for name in ("model", "target", "artifact")]
    return (*map(tuple, names), *(tuple(sorted(filter(None, values))) for values in found))


def every_value(column: ColumnElement[str]) -> Select[Any]:
    """Each value of a column, also the empty one, and at the end null: one step through its index for each."""
    steps = select(func.min(column).label("value")).cte("steps", recursive=True)
    following = select(func.min(column)).where(column > steps.c.value).scalar_subquery()
    return select(steps.union_all(select(following).where(steps.c.value.is_not(None))).c.value)


def every_device(store: Store) -> tuple[KeptDevice, ...]:
    """Every device with its newest measurement, the one that was used last first; errors as in `overview`."""
    with store.reading() as connection:
        found = connection.execute(devices()).mappings().all()
    known = [_device(row) for row in found]
    return tuple(sorted(known, key=lambda one: one.last_seen, reverse=True))


def fits(row: RowMapping, shown: PageFilter) -> bool:
    """Whether a row with model, target and artifact fits."""
    asked = ((shown.model, "model"), (shown.target, "target"), (shown.artifact, "artifact"))
    return all(not value or row[name] == value for value, name in asked)


def newest_of_series(shown: PageFilter) -> Select[Any]:
    """The newest measurement of every series, or of those on a branch or of a backend version.

    It is one step through the index for each series, not one for each measurement.
    """
    keys = MEASUREMENTS.alias("keys")
    steps = _first_of_series()
    newest = MEASUREMENTS.alias("newest")
    same = and_(*(newest.c[name] == keys.c[name] for name in _KEY), *_on(newest, shown))
    last = select(newest.c.id).where(same).order_by(newest.c.created.desc(), newest.c.id.desc()).limit(1)
    numbers = select(last.scalar_subquery().label("id")).select_from(steps.join(keys, keys.c.id == steps.c.id)).cte()
    return select(
        MEASUREMENTS.c.id, *(MEASUREMENTS.c[name] for name in (*_KEY, "created")), MODELS.c.name.label("model")
    ).select_from(
        numbers.join(MEASUREMENTS, MEASUREMENTS.c.id == numbers.c.id).join(
            MODELS, MODELS.c.id == MEASUREMENTS.c.model_id
        )
    )


def of_series(keys: Iterable[RowMapping], points: int, shown: PageFilter) -> CompoundSelect[Any]:
    """The numbers of the newest measurements of each series, or of those on a branch or of a backend version."""
    parts = []
    for key in keys:
        same = and_(*(MEASUREMENTS.c[name] == key[name] for name in _KEY), *_on(MEASUREMENTS, shown))
        newest = select(MEASUREMENTS.c.id).where(same).order_by(MEASUREMENTS.c.created.desc()).limit(points)
        # SQLite takes no LIMIT in a part of a UNION, but in a table of it.
        parts.append(select(newest.subquery().c.id))
    return union_all(*parts)


def runs_that_fit(shown: PageFilter, model: int | None, before: str, most: int) -> Select[Any]:
    """The newest runs, with a row for each measurement that fits if a filter is given."""
    is_filtered = model is not None or shown.target or shown.artifact or shown.library
    table: Table = MEASUREMENTS if is_filtered else RUNS
    number = table.c.run_id if is_filtered else table.c.id
    asked: list[ColumnElement[bool]] = []
    if model is not None:
        asked.append(table.c.model_id == model)
    asked += [table.c[name] == value for name in ("target", "artifact") if (value := getattr(shown, name))]
    asked += _on(table, shown)
    if before:
        created, _, last = before.rpartition(" ")
        place = int(last) if last.isdecimal() and len(last) < 16 else 0
        asked += [table.c.created <= created, tuple_(table.c.created, number) < tuple_(created, place)]
    rows = most * _ROWS_OF_A_RUN if is_filtered else most + 1
    wanted = select(number.label("run_id"), table.c.created).where(*asked)
    return wanted.order_by(table.c.created.desc(), table.c.id.desc()).limit(rows)


def devices() -> Select[Any]:
    """Devices with their newest measurement."""
    newest = MEASUREMENTS.alias("newest")
    last = (
        select(newest.c.id)
        .where(newest.c.device_id == DEVICES.c.id)
        .order_by(newest.c.created.desc())
        .limit(1)
        .scalar_subquery()
    )
    return (
        select(DEVICES, MEASUREMENTS.c.target, MEASUREMENTS.c.created, MEASUREMENTS.c.trust, MEASUREMENTS.c.run_id)
        .select_from(DEVICES.join(MEASUREMENTS, MEASUREMENTS.c.id == last))
        .limit(_MOST_DEVICES)
    )


def _first_of_series() -> CTE:
    """The number of one measurement of each series: each step searches the index for the next key."""
    order = [MEASUREMENTS.c[name] for name in _KEY]
    first = select(MEASUREMENTS.c.id).where(MEASUREMENTS.c.model_id.is_not(None)).order_by(*order).limit(1)
    steps = select(first.scalar_subquery().label("id")).cte("steps", recursive=True)
    here, after = MEASUREMENTS.alias("here"), MEASUREMENTS.alias("after")
    # In parts: SQLite searches an index for one bound of a comparison of rows, not for all three.
    parts = (_next_key(after, here, place) for place in reversed(range(len(_KEY))))
    following = func.coalesce(*(part.scalar_subquery() for part in parts))
    return steps.union_all(select(following).select_from(steps.join(here, here.c.id == steps.c.id)))


def _next_key(after: FromClause, here: FromClause, place: int) -> Select[Any]:
    """The first measurement with the same names before `place`, and a later one there."""
    same = [after.c[name] == here.c[name] for name in _KEY[:place]]
    later = after.c[_KEY[place]] > here.c[_KEY[place]]
    return select(after.c.id).where(*same, later).order_by(*(after.c[name] for name in _KEY[place:])).limit(1)


def _on(table: FromClause, shown: PageFilter) -> list[ColumnElement[bool]]:
    """The conditions for rows of a branch and of a backend version; none for empty texts."""
    found = [table.c.branch == shown.branch] if shown.branch else []
    return [*found, table.c.engine == shown.library] if shown.library else found


def _newest_rows(connection: Connection, shown: PageFilter) -> Sequence[RowMapping]:
    return connection.execute(newest_of_series(shown)).mappings().all()


def _model_numbers(connection: Connection, name: str) -> Sequence[int]:
    return connection.scalars(select(MODELS.c.id).where(MODELS.c.name == name)).all()


def _points(connection: Connection, numbers: Sequence[int]) -> list[tuple[RowMapping, SeriesPoint]]:
    """Measurements by their numbers, newest first, each with its run and verdict."""
    wanted = (
        select(
            MEASUREMENTS,
            RUNS.c.command,
            RUNS.c.commit_id,
            RUNS.c.verdict,
            MODELS.c.name.label("model"),
        )
        .select_from(
            MEASUREMENTS.join(RUNS, RUNS.c.id == MEASUREMENTS.c.run_id).join(
                MODELS, MODELS.c.id == MEASUREMENTS.c.model_id
            )
        )
        .where(MEASUREMENTS.c.id.in_(numbers))
        .order_by(MEASUREMENTS.c.created.desc(), MEASUREMENTS.c.id.desc())
    )
    rows = connection.execute(wanted).mappings().all()
    judged = _judged(connection, {row["run_id"] for row in rows})
    return [(row, _point(row, judged.get(row["run_id"], ()))) for row in rows]


def _judged(connection: Connection, runs: Iterable[int]) -> dict[int, list[RowMapping]]:
    """What each run judged; a run without an entry judged nothing."""
    found: dict[int, list[RowMapping]] = {}
    for row in connection.execute(select(VERDICTS).where(VERDICTS.c.run_id.in_(list(runs)))).mappings():
        found.setdefault(row["run_id"], []).append(row)
    return found


def _verdict(row: RowMapping, judged: Sequence[RowMapping]) -> Verdict | None:
    """What a run says of one measurement: a check or a sweep of its own figures, others on its target or as a whole."""
    if row["command"] in ("check", "sweep"):
        is_version = row["command"] == "sweep"
        own = of_version(row["model"], row["engine"], row["sizes"]) if is_version else f"{row['model']}: "
        mine = [one for one in judged if all(one[name] == row[name] for name in ("target", "artifact"))]
        found = [Verdict(one["verdict"]) for one in mine if one["name"].startswith(own)]
        return worst(found) if found else None
    outcomes = [one["verdict"] for one in judged if one["kind"] == "outcome" and one["target"] == row["target"]]
    verdict = Verdict(outcomes[0] if outcomes else row["verdict"])
    # The outcome of a profile without a budget is that it was measured.
    is_judged = row["command"] != "profile" or any(one["kind"] != "outcome" for one in judged)
    return verdict if is_judged or verdict is not Verdict.PASS else None


def _point(row: RowMapping, judged: Sequence[RowMapping]) -> SeriesPoint:
    return SeriesPoint(
        run=row["run_id"],
        created=row["created"],
        command=row["command"],
        commit=row["commit_id"],
        branch=row["branch"],
        verdict=_verdict(row, judged),
        sizes=row["sizes"],
        engine=row["engine"],
        latency=Estimate(row["p50"], row["p50_low"], row["p50_high"], len(row["launch_medians"])),
        p90=row["p90"],
        memory=row["memory"],
        trust=row["trust"],
    )


def _series(row: RowMapping, points: Sequence[SeriesPoint]) -> KeptSeries:
    return KeptSeries(row["model"], row["target"], row["artifact"], tuple(points))


def _device(row: RowMapping) -> KeptDevice:
    return KeptDevice(
        number=row["id"],
        target=row["target"],
        architecture=row["architecture"],
        cpu=row["cpu"] or "",
        cores=row["cores"],
        memory_mib=row["memory_mib"],
        system=row["system"],
        is_emulated=row["emulated"],
        engines=row["engines"],
        trust=row["trust"],
        last_seen=row["created"],
        run=row["run_id"],
    )
