"""Opens a store: a SQLite file, or a PostgreSQL database by its URL, brought to the newest form."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, inspect, make_url, text

from edgekit.core.errors import EdgekitError, EnvironmentFault, Unreadable, UserError, from_os_error
from edgekit.core.system.installation import origin
from edgekit.core.system.settings import is_url

# How long a writer waits for the others.
_WAIT_S: Final = 60
# PostgreSQL: whoever holds this number migrates; "edgekit" as an integer of eight bytes.
_MIGRATING: Final = int.from_bytes(b"edgekit")
# Of Alembic; its own default could be that of another program in the same database.
FORM_TABLE: Final = "edgekit_form"
_EXAMPLE: Final = "EDGEKIT_HISTORY=runs.sqlite, or postgresql://USER@HOST/DATABASE"


class Store:
    """An open store. Close it, or use it in a `with` block."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the store; errors as in `open_store`."""
        with _told(self.name), self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection whose changes are all kept after the block, or none; errors as in `open_store`."""
        with _told(self.name), self._engine.connect() as connection:
            connection.execution_options(edgekit_begins="BEGIN IMMEDIATE")
            with connection.begin():
                yield connection

    def compact(self) -> None:
        """Give the space of what was removed back to the disk, where that is left to us: in a SQLite file."""
        if self._engine.dialect.name == "sqlite":
            with _told(self.name), self._engine.connect() as connection:
                connection.execution_options(edgekit_begins="").exec_driver_sql("VACUUM")


def open_store(place: str) -> Store:
    """The store at `place`, made if it does not exist, and brought to the newest form.

    Args:
        place: A file for SQLite, or `postgresql://...`.

    Raises:
        UserError: A URL of another database.
        Unreadable: The file or database has other content, is damaged, or was written by a newer edgekit.
        EnvironmentFault: The database cannot be reached, or does not accept the change.
    """
    engine, name = _engine(place)
    store = Store(engine, name)
    try:
        _migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def _engine(place: str) -> tuple[Engine, str]:
    if not is_url(place):
        path = Path(place).expanduser().absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise from_os_error(err, f"making '{path.parent}'") from err
        return _sqlite(path), str(path)
    url = postgresql_url(place)
    # `hide_parameters` and the name without a password: neither is in a message or in a log.
    made = create_engine(url.set(drivername="postgresql+psycopg"), hide_parameters=True, pool_pre_ping=True)
    return made, url.render_as_string(hide_password=True)


def postgresql_url(place: str) -> URL:
    """The URL of a PostgreSQL database.

    Raises:
        UserError: It is not one.
    """
    try:
        url = make_url(place)
        kind = url.get_backend_name()
    except (exc.SQLAlchemyError, ValueError) as err:
        raise UserError("The place of the history is not a URL of a database.", hint=_EXAMPLE) from err
    if kind != "postgresql":
        raise UserError(f"The history cannot be in '{kind}'.", hint=_EXAMPLE)
    return url


def _sqlite(path: Path) -> Engine:
    place = URL.create("sqlite", database=str(path))
    made = create_engine(place, hide_parameters=True, connect_args={"timeout": _WAIT_S})

    @event.listens_for(made, "connect")
    def connected(connection: sqlite3.Connection, _: object) -> None:
        # Python begins transactions by itself, and too late for the tables of a migration.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
        # A file that somebody else wrote may define functions to be called where it is read.
        connection.execute("PRAGMA trusted_schema=OFF")

    @event.listens_for(made, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that reads first and writes later fails at once where another one wrote in between.
        if begins := connection.get_execution_options().get("edgekit_begins", "BEGIN"):
            connection.exec_driver_sql(begins)

    return made


def _migrate(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", "edgekit.store:migrations")
    steps = ScriptDirectory.from_config(config)
    with store.reading() as connection:
        found = _form(connection)
        if found is None and (other := inspect(connection).get_table_names()) and FORM_TABLE not in other:
            raise Unreadable(f"'{store.name}' is not a history: it contains '{other[0]}'.", hint=_EXAMPLE)
    if found == steps.get_current_head():
        return
    if found and found not in {step.revision for step in steps.walk_revisions()}:
        raise Unreadable(f"'{store.name}' was written by a newer edgekit.", hint=origin().upgrade)
    from alembic import command

    with store.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATING})
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _form(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": FORM_TABLE}).get_current_revision()


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Raise what the database says as an error of edgekit."""
    try:
        yield
    except EdgekitError:
        raise
    except exc.SQLAlchemyError as err:
        raise _explained(name, err) from err
    except OverflowError as err:  # of sqlite3
        raise Unreadable(f"The history '{name}' has no place for a value: {err}.") from err


def _explained(name: str, err: exc.SQLAlchemyError) -> EdgekitError:
    cause: Any = getattr(err, "orig", None) or err
    said = str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
    if isinstance(err, exc.DataError):
        return Unreadable(f"The history '{name}' has no place for a value: {said}.")
    if isinstance(err, exc.OperationalError):
        return EnvironmentFault(f"The history '{name}' cannot be used: {said}.")
    return Unreadable(f"'{name}' is not a history of edgekit, or is damaged: {said}.")
