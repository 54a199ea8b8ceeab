"""The tables that the migrations make, what is not a store, and how questions are answered."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.command import upgrade
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, MetaData, Select, create_engine, insert, select, text, update
from sqlalchemy.dialects import sqlite
from tests.store.made_reports import checked, profiled
from tests.store.postgresql import PASSWORD, Server

from edgekit.core.errors import EdgekitError, EnvironmentFault, Unreadable, UserError
from edgekit.core.reports.kept import Keepable
from edgekit.core.reports.kept_pages import PageFilter
from edgekit.store.database import FORM_TABLE, Store, open_store
from edgekit.store.reading import asked_for, newest_first, run_of, run_without_report
from edgekit.store.recording import record
from edgekit.store.schema import DOCUMENTS, MEASUREMENTS, METADATA, RUNS
from edgekit.store.trends import devices, every_value, newest_of_series, runs_that_fit


def test_migrations_make_the_tables_of_the_schema(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": FORM_TABLE})

        assert compare_metadata(context, METADATA) == []


def at_form(place: str, form: str) -> Store:
    """A new store as an earlier edgekit made it."""
    url = place.replace("postgresql:", "postgresql+psycopg:") if "://" in place else f"sqlite:///{place}"
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", "edgekit.store:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        upgrade(config, form)
    return Store(engine, place)


def keep_in(place: str, form: str, other: str, report: Keepable | None = None) -> int:
    """The number of a run in a new store of an earlier form, with what `record` writes into the columns it has."""
    with at_form(place, form) as store, open_store(other) as newest:
        number, _ = record(newest, report or profiled())
        with store.writing() as connection, newest.reading() as source:
            known = MetaData()
            known.reflect(connection)
            for table in METADATA.sorted_tables:
                if table.name in known.tables:
                    names = known.tables[table.name].columns.keys()
                    rows = source.execute(select(*(table.c[name] for name in names))).mappings().all()
                    if rows:
                        connection.execute(insert(known.tables[table.name]), [dict(row) for row in rows])
    return number


def earlier_forms() -> list[str]:
    config = Config()
    config.set_main_option("script_location", "edgekit.store:migrations")
    return [step.revision for step in ScriptDirectory.from_config(config).walk_revisions()][1:]


@pytest.mark.parametrize("form", earlier_forms())
def test_a_store_of_an_earlier_form_keeps_what_it_has(form: str, place: str, new_place: Callable[[], str]) -> None:
    number = keep_in(place, form, new_place())

    with open_store(place) as store, store.reading() as connection:
        assert run_of(store, number)[1] == profiled()
        context = MigrationContext.configure(connection, opts={"version_table": FORM_TABLE})
        assert compare_metadata(context, METADATA) == []


def test_a_store_of_a_newer_edgekit_is_refused(place: str) -> None:
    with open_store(place) as store, store.writing() as connection:
        connection.execute(text(f"UPDATE {FORM_TABLE} SET version_num = '9999'"))

    with pytest.raises(Unreadable, match="newer edgekit"):
        open_store(place)


def test_a_database_of_another_program_is_left_as_it_is(place: str) -> None:
    with open_store(place) as store, store.writing() as connection:
        METADATA.drop_all(connection)
        connection.execute(text(f"DROP TABLE {FORM_TABLE}"))
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))

    with pytest.raises(Unreadable, match="'orders'"):
        open_store(place)


@pytest.mark.parametrize("content", [b"not a database " * 100, b"SQLite format 3\0" + bytes(84) + b"\xff" * 4000])
def test_a_damaged_file_is_told_and_kept(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "runs.sqlite"
    path.write_bytes(content)

    with pytest.raises(EdgekitError, match="not a history of edgekit, or is damaged"):
        open_store(str(path))

    assert path.read_bytes() == content


def test_a_name_that_is_no_file_name_elsewhere_is_one_here(tmp_path: Path) -> None:
    open_store(str(tmp_path / "a?b#c%20.sqlite")).close()

    assert [path.name for path in tmp_path.iterdir()] == ["a?b#c%20.sqlite"]


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault):
        open_store(str(tmp_path))


@pytest.mark.parametrize("url", ["mysql://me@host/runs", "sqlite:///runs.sqlite", "https://runs", "x://"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(UserError) as refused:
        open_store(url)

    assert "postgresql://" in refused.value.hint


def test_a_server_that_is_away_is_named_without_its_password() -> None:
    with pytest.raises(EnvironmentFault) as away:
        open_store("postgresql://me:the-password@127.0.0.1:1/runs")

    assert "me:***@127.0.0.1:1/runs" in away.value.message
    assert "the-password" not in away.value.message


def test_a_wrong_password_is_not_repeated(server: Server) -> None:
    with pytest.raises(EnvironmentFault) as refused:
        open_store(server.url("postgres").replace(PASSWORD, "the-wrong-one"))

    assert "the-wrong-one" not in refused.value.message


@pytest.mark.parametrize(
    ("model", "target", "branch"),
    [("", "", ""), ("kws", "", ""), ("", "pi5", ""), ("", "", "main"), ("kws", "pi5", "main")],
)
def test_a_list_reads_no_table_from_its_beginning_to_its_end(
    model: str, target: str, branch: str, tmp_path: Path
) -> None:
    place = str(tmp_path / "runs.sqlite")
    with open_store(place) as store:
        record(store, profiled())

    plan = _plan(place, newest_first(asked_for(model, target, branch)).limit(20))

    # Through an index in the order of its rows, until enough are found.
    assert [step for step in plan if step.startswith("SCAN") and "USING INDEX" not in step] == []


def _plan(place: str, wanted: Select[object]) -> list[str]:
    question = str(wanted.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    with sqlite3.connect(place) as connection:
        return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {question}")]


def test_a_measurement_of_an_earlier_form_gets_the_time_of_its_run(place: str, new_place: Callable[[], str]) -> None:
    keep_in(place, "0001", new_place())

    with open_store(place) as store, store.reading() as connection:
        assert connection.scalars(select(MEASUREMENTS.c.created)).all() == [profiled().created]


@pytest.mark.parametrize(
    "shown",
    [
        PageFilter(),
        PageFilter(model="kws"),
        PageFilter(target="pi5"),
        PageFilter(artifact="onnx-fp32"),
        PageFilter(branch="main"),
        PageFilter(library="onnxruntime 1.25"),
        PageFilter(model="kws", target="pi5", artifact="onnx-fp32"),
    ],
)
def test_a_page_of_runs_reads_no_table_from_its_beginning_to_its_end(shown: PageFilter, tmp_path: Path) -> None:
    place = str(tmp_path / "runs.sqlite")
    with open_store(place) as store:
        record(store, profiled())

    plan = _plan(place, runs_that_fit(shown, 1 if shown.model else None, "2026-01-01T00:00:00+00:00 1", 20))

    assert len(plan) == 1
    assert " USING " in plan[0]
    assert "INDEX ix_" in plan[0]


@pytest.mark.parametrize(
    ("shown", "column"),
    [(PageFilter(), ""), (PageFilter(branch="main"), "branch"), (PageFilter(library="x"), "engine")],
)
def test_the_newest_of_each_series_is_found_by_steps_through_an_index(
    shown: PageFilter, column: str, tmp_path: Path
) -> None:
    place = str(tmp_path / "runs.sqlite")
    with open_store(place) as store:
        record(store, profiled())

    plan = _plan(place, newest_of_series(shown))
    searched = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]

    assert {step for step in searched if step.startswith("SCAN")} <= {"SCAN steps", "SCAN CONSTANT ROW"}
    assert any("(model_id=? AND target=? AND artifact>?)" in step for step in searched)
    where = f"(model_id=? AND target=? AND artifact=? AND {column}=?)"
    assert not column or any(where in step for step in searched)


@pytest.mark.parametrize(
    ("column", "index"),
    [(RUNS.c.branch, "ix_runs_branch_created"), (MEASUREMENTS.c.engine, "ix_measurements_engine_created")],
)
def test_what_a_filter_offers_is_found_by_steps_through_an_index(
    column: Column[str], index: str, tmp_path: Path
) -> None:
    place = str(tmp_path / "runs.sqlite")
    with open_store(place) as store:
        record(store, profiled(branch="main"))

    plan = _plan(place, every_value(column))

    assert {step for step in plan if step.startswith("SCAN")} <= {"SCAN steps", "SCAN CONSTANT ROW"}
    assert any(f"{index} ({column.name}>?)" in step for step in plan)


def test_a_check_of_an_earlier_form_gets_the_commit_of_its_report(place: str, new_place: Callable[[], str]) -> None:
    number = keep_in(place, "0003", new_place(), checked(7))
    with at_form(place, "0003") as earlier, earlier.writing() as connection:
        connection.execute(update(RUNS).values(commit_id=""))

    with open_store(place) as store:
        assert run_of(store, number)[0].commit == checked(7).commit != ""


def test_a_damaged_report_does_not_keep_a_store_in_its_earlier_form(place: str, new_place: Callable[[], str]) -> None:
    number = keep_in(place, "0003", new_place(), checked(7))
    with at_form(place, "0003") as earlier, earlier.writing() as connection:
        connection.execute(update(RUNS).values(commit_id=""))
        connection.execute(update(DOCUMENTS).values(content=b"damaged"))

    with open_store(place) as store:
        assert run_without_report(store, number).commit == ""


def test_devices_read_no_measurement_but_their_newest(tmp_path: Path) -> None:
    place = str(tmp_path / "runs.sqlite")
    with open_store(place) as store:
        record(store, profiled())

    plan = _plan(place, devices())

    assert [step for step in plan if step.startswith("SCAN")] == ["SCAN devices"]
