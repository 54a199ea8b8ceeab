"""The table of `make bench`: what it says, when it fails, and that docs/performance.md explains every missed figure."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest
from benchmarks.figures import __main__ as program
from benchmarks.figures import figure_rows
from benchmarks.figures.figure import Benchmark, Figure
from benchmarks.figures.figure_rows import KEPT, FigureRow, keep, newest, read, record
from benchmarks.figures.figure_table import PAGE, entries, judged, page_table, table
from benchmarks.figures.goals import _ALL, FIGURES
from benchmarks.figures.stored_campaigns import CAMPAIGNS, stored

RATIO = Figure("start.help", "a ratio", 6.0, "x", Benchmark("benchmarks.startup", 0.5))
SHARE = Figure("fleet.scale", "a share", 90, "%", Benchmark("benchmarks.startup", 30), is_least=True)
BOTH = {one.key: one for one in (RATIO, SHARE)}


@pytest.fixture(scope="module")
def campaigns() -> list[FigureRow]:
    """The figures of campaigns that left their rows in the repository."""
    return list(stored())


def row(key: str, value: float, created: str = "2026-12-03T10:00:00+00:00") -> FigureRow:
    return FigureRow(key, value, {}, "abc1234", created)


def printed(rows: Sequence[FigureRow], explained: Sequence[str] = ()) -> list[str]:
    return list(table(judged(BOTH, rows, explained)))


def test_a_figure_stands_next_to_its_goal_with_the_day_and_the_commit() -> None:
    _, met, unmeasured, *_ = printed([row("start.help", 2.313)])

    assert met.split() == ["start.help", "2.31x", "<=", "6x", "met", "12-03", "abc1234"]
    assert unmeasured.split() == ["fleet.scale", ">=", "90", "%", "not", "measured"]


def test_a_missed_figure_without_an_entry_is_named() -> None:
    lines = printed([row("start.help", 6.01), row("fleet.scale", 89.9)], ["fleet.scale"])

    assert [line.split()[-3] for line in lines[1:3]] == ["MISSED", "missed"]
    assert lines[-2:] == [
        "0 met, 2 missed, 0 not measured of 2 figures",
        "start.help is missed: docs/performance.md needs an entry '### `start.help`'",
    ]


def test_an_entry_for_a_figure_that_is_met_is_named() -> None:
    assert printed([row("start.help", 6.0)], ["start.help"])[-1] == (
        "start.help is met: its entry in docs/performance.md says that it is missed"
    )


@pytest.mark.parametrize(
    ("rows", "explained", "code"),
    [
        ([row("start.help", 6.0), row("fleet.scale", 90.0)], [], 0),
        ([row("start.help", 6.1)], ["start.help"], 0),
        ([row("start.help", 6.1)], ["fleet.scale"], 1),
        ([row("fleet.scale", 89.0)], [], 1),
        ([], [], 0),
        ([row("start.help", 6.0)], ["start.help"], 0),
    ],
)
def test_the_exit_code_is_1_only_where_a_missed_figure_has_no_entry(
    rows: list[FigureRow],
    explained: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(program, "FIGURES", BOTH)
    monkeypatch.setattr(program, "all_rows", lambda: rows)
    monkeypatch.setattr(program, "entries", lambda: set(explained))

    assert program.main([]) == code
    assert "start.help" in capsys.readouterr().out


def test_a_benchmark_that_fails_fails_the_whole_and_the_others_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "breaks.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "works.py").write_text("import pathlib; pathlib.Path('ran').touch()\n")
    figures = [
        Figure(name, name, 1, "x", Benchmark(name, minutes))
        for name, minutes in (("breaks", 1), ("works", 1), ("long", 60))
    ]
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "FIGURES", {one.key: one for one in figures})
    monkeypatch.setattr(program, "all_rows", list)

    assert program.main(["--run"]) == 1
    assert (tmp_path / "ran").is_file()
    assert capsys.readouterr().out.splitlines()[-1] == "failed: python -m breaks"


def test_a_campaign_runs_only_if_it_is_named() -> None:
    assert all(one.is_short for one in program.chosen([]))
    assert [one.command for one in program.chosen(["tests."])] == ["benchmarks.figures.suite_time"]
    assert len(list(program.chosen(["install"]))) == 1


def test_a_row_keeps_raw_values_commit_and_machine_without_its_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "folder" / "rows.jsonl"

    record("start.help", 6.004, path, seconds=[1.0, 2.0])
    record("start.help", 2.0, path)

    first, last = read(path)
    assert (first.value, first.raw, last.raw) == (6.004, {"seconds": [1.0, 2.0]}, {})
    assert first.commit == figure_rows.commit()
    assert "cores" in first.machine
    assert newest([first, last])["start.help"].value == 2.0
    assert capsys.readouterr().out.splitlines()[0] == "start.help: 6.004x, goal <= 6x: missed"


def test_the_newest_row_of_each_figure_is_kept(tmp_path: Path) -> None:
    measured, kept = tmp_path / "measured.jsonl", tmp_path / "kept.jsonl"
    figure_rows.add([row("start.help", 3.0, "2026-12-01"), row("fleet.scale", 95.0, "2026-12-04")], kept)
    figure_rows.add([row("start.help", 2.0, "2026-12-02"), row("fleet.scale", 91.0, "2026-12-02")], measured)

    keep(measured, kept)

    assert [(one.key, one.value) for one in read(kept)] == [("fleet.scale", 95.0), ("start.help", 2.0)]


@pytest.mark.parametrize(
    ("value", "text"), [(6.0, "6x"), (5.9996, "6.00x"), (6.0004, "6.000400x"), (0.5, "0.50x"), (137.84, "138x")]
)
def test_a_value_is_never_rounded_over_its_goal(value: float, text: str) -> None:
    assert RATIO.shown(value) == text


def test_every_figure_has_a_name_of_its_own() -> None:
    assert len(FIGURES) == len(_ALL)


@pytest.mark.parametrize("command", sorted({one.benchmark.command for one in _ALL if one.benchmark}))
def test_every_command_names_a_module_that_exists(command: str) -> None:
    name = command.split(" ", maxsplit=1)[0]

    found = importlib.util.find_spec(name)

    assert found is not None
    assert name.startswith("benchmarks.")
    if found.submodule_search_locations:
        assert importlib.util.find_spec(f"{name}.__main__") is not None


@pytest.mark.parametrize("key", [key for key, one in FIGURES.items() if one.benchmark])
def test_every_figure_is_recorded_by_its_benchmark_or_read_from_a_campaign(
    key: str, campaigns: list[FigureRow], repository: Path
) -> None:
    if key in {one.key for one in campaigns}:
        return
    benchmark = FIGURES[key].benchmark
    assert benchmark is not None
    path = repository / Path(*benchmark.command.split(" ")[0].split("."))
    text = (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")

    whole, _, part = key.rpartition("_")
    assert f'"{key}"' in text or f'f"{whole}_' in text or f'_{part}"' in text


def test_campaigns_give_figures_with_the_commit_of_their_rows(campaigns: list[FigureRow]) -> None:
    found = {one.key: one for one in campaigns}

    assert all(path.is_file() for path in CAMPAIGNS)
    assert set(found) <= set(FIGURES)
    assert all(one.created and one.commit for one in found.values())
    assert found["compare.found"].raw["of"] == FIGURES["compare.found"].goal


def test_every_missed_figure_of_the_repository_has_its_entry(campaigns: list[FigureRow]) -> None:
    found = judged(FIGURES, [*campaigns, *read(KEPT)], entries())

    assert [one.figure.key for one in found if one.is_unexplained] == []
    assert [one.figure.key for one in found if one.verdict == "met" and one.has_entry] == []
    assert entries() <= set(FIGURES)


def test_the_page_shows_the_rows_of_the_repository(campaigns: list[FigureRow]) -> None:
    shown = PAGE.read_text(encoding="utf-8")
    found = judged(FIGURES, [*campaigns, *read(KEPT)], entries())

    for one, line in zip(found, list(page_table(found))[2:], strict=True):
        # The commit of a campaign's file is another one in a clone without its history.
        assert line.rpartition("|")[0].rpartition("|")[0] in shown, one.figure.key
    assert [line for line in table(found) if len(line) > 80 and " is " not in line] == []
