"""The store of runs: `edgekit history list`, `show NUMBER`, `import`, `export` and `prune`, and what keeps a report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit.core.errors import EdgekitError, UserError, unknown
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.comparison import ComparisonReport
from edgekit.core.reports.kept import (
    ExportReport,
    Keepable,
    KeptRunReport,
    PruneReport,
    RunsReport,
)
from edgekit.core.reports.kept_pages import PageFilter, SeriesReport
from edgekit.core.reports.report import Report
from edgekit.core.reports.sweep import SweepReport
from edgekit.core.reports.tuning import TuneReport
from edgekit.core.system.optional import need
from edgekit.core.system.progress import Progress
from edgekit.core.system.settings import is_url
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.store.database import Store

# A page of series in a terminal; filters show the others.
_MOST_SERIES: Final = 50
_log = logging.getLogger(__name__)


def check_store(place: str) -> None:
    """Raise before the work for what would keep a report from being kept at `place` after it.

    Raises:
        UserError: The URL of another database.
        MissingExtra: SQLAlchemy, Alembic or the driver of PostgreSQL is not installed.
    """
    need("sqlalchemy", extra="history")
    need("alembic", extra="history")
    if is_url(place):
        need("psycopg", extra="history-postgresql")
        from edgekit.store.database import postgresql_url

        postgresql_url(place)


@contextmanager
def opened(place: str, *, make: bool = False) -> Iterator[Store]:
    """The store at `place`, for as long as the block lasts.

    Args:
        make: Make a file that does not exist.

    Raises:
        UserError: There is no such file, or as in `check_store`.
        MissingExtra: As in `check_store`.
        Unreadable, EnvironmentFault: As in `open_store`.
    """
    check_store(place)
    if not make and not is_url(place) and not Path(place).exists():
        raise UserError(f"There is no history at '{place}' yet.", hint="edgekit profile BUNDLE --record")
    from edgekit.store.database import open_store

    with open_store(place) as store:
        yield store


def keep(kept: Keepable, place: str) -> str:
    """Keep a report that was measured: a sentence that says where.

    What prevents it is a warning in the log: the report itself is not lost by it.
    """
    try:
        with opened(place, make=True) as store:
            from edgekit.store.recording import record

            number, _ = record(store, kept)
            return f"Kept as run {number} of '{store.name}'."
    except EdgekitError as err:
        _log.warning("The run is not kept: %s", err.message)
        return ""


def newest_runs(place: str, *, limit: int, model: str = "", target: str = "", branch: str = "") -> RunsReport:
    """The newest runs of the store at `place`; arguments and errors as in `store.reading.newest` and `opened`."""
    with opened(place) as store:
        from edgekit.store.reading import newest

        named = _named(store, model)
        runs, total = newest(store, limit=limit, model=named, target=target, branch=branch)
        return RunsReport(store=store.name, runs=runs, total=total)


def plotted(place: str, shown: PageFilter, *, points: int) -> SeriesReport:
    """The newest measurements of each series that fits, in the store at `place`.

    Args:
        points: At most this many of each series.

    Raises:
        UserError: No run measured a model of this name, or as in `opened`.
        MissingExtra, Unreadable, EnvironmentFault: As in `opened`.
    """
    with opened(place) as store:
        from edgekit.store.trends import every_name, trends

        shown = msgspec.structs.replace(shown, model=_named(store, shown.model))
        found = trends(store, shown, first=0, most=_MOST_SERIES, points=points)
        if not found.series and shown.model not in (models := every_name(store)[0]):
            raise unknown("model", shown.model, models, hint="edgekit history list")
        return SeriesReport(
            store=store.name, shown=shown, series=found.series, total=found.total, page=1, command="history plot"
        )


def _named(store: Store, model: str) -> str:
    """The name that the store has for a model that is given as other commands take it: `nets/kws.onnx` is `kws`."""
    from edgekit.store.trends import every_name

    stem = PurePath(model).stem
    if stem == model:
        return model
    known = every_name(store)[0]
    return stem if stem in known and model not in known else model


def kept_run(place: str, number: int) -> KeptRunReport:
    """A run of the store at `place`, and its whole report if that is still kept; errors as in `run_of`, `opened`."""
    with opened(place) as store:
        from edgekit.store.reading import run_of

        run, kept = run_of(store, number)
    return KeptRunReport(
        store=store.name,
        run=run,
        report=kept if isinstance(kept, Report) else None,
        check=kept if isinstance(kept, CheckReport) else None,
        comparison=kept if isinstance(kept, ComparisonReport) else None,
        tuning=kept if isinstance(kept, TuneReport) else None,
        sweep=kept if isinstance(kept, SweepReport) else None,
    )


def export(place: str, file: Path) -> ExportReport:
    """Write every run of the store at `place` to `file`; its suffix selects the form.

    A table (.csv, .parquet) has a row for each measurement, and one for a run without any.

    Raises:
        UserError: No form has this suffix, or as in `opened`.
        MissingExtra: .parquet without pyarrow.
        Unreadable, EnvironmentFault: As in `opened`; the file cannot be written.
    """
    from edgekit.flows.keeping.run_tables import write_runs

    with opened(place) as store:
        from edgekit.store.reading import all_runs

        runs = tuple(all_runs(store))
        write_runs(file, store.name, runs)
        return ExportReport(store=store.name, file=str(file), runs=len(runs))


@dataclass(frozen=True)
class PruneOrder:
    """Whole reports that are to be removed: of runs older than `days`, and of all but the `keep` newest ones."""

    place: str
    days: int | None
    keep: int | None
    command: str = "history prune"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        with opened(self.place) as store:
            from edgekit.store.pruning import prunable

            removed, size_bytes, left = prunable(store, days=self.days, keep=self.keep)
        return (f"remove {removed} of {removed + left} whole reports, {format_value(size_bytes, 'bytes')}",)

    def run(self, progress: Progress) -> PruneReport:
        """Remove them."""
        with opened(self.place) as store, progress.stage("prune"):
            from edgekit.store.pruning import prune

            removed, size_bytes, left = prune(store, days=self.days, keep=self.keep)
            return PruneReport(store=store.name, removed=removed, size_bytes=size_bytes, left=left)


@contextmanager
def prune_order(place: str, *, days: int | None, keep: int | None) -> Iterator[PruneOrder]:
    """Remove whole reports from the store; the figures of their runs stay.

    Args:
        days: Those of runs that are older than this.
        keep: Those that are not among this many newest ones.

    Raises:
        UserError: Neither is given.
        MissingExtra: As in `check_store`.
    """
    if days is None and keep is None:
        raise UserError("Nothing says which reports go.", hint="edgekit history prune --days 90")
    check_store(place)
    yield PruneOrder(place, days, keep)
