"""Runs that commands keep, from the command line."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.core.reports import history
from edgekit.flows.judging.history import read_history
from edgekit.flows.keeping.shared_lines import with_kept_lines

Run = Callable[..., Any]
PROFILE = ("profile", "bundle", "--launches", "5", "--time-limit", "1ms")


def test_a_run_is_kept_listed_and_shown_as_it_was(edgekit: Run, made: Path, quiet_home: Path) -> None:
    profiled = edgekit(*PROFILE, "--record", "--report", "report.json")

    listed = edgekit("history", "list", "--json").document
    shown = edgekit("history", "show", "1")
    document = edgekit("history", "show", "1", "--json").document

    place = quiet_home / ".local/share/edgekit/history.sqlite"
    assert f"Kept as run 1 of '{place}'." in profiled.err
    assert (listed["total"], listed["runs"][0]["model"], listed["store"]) == (1, "net", str(place))
    assert document["report"] == json.loads(Path("report.json").read_text())
    assert "p50" in shown.out
    assert profiled.out.startswith(shown.out.rstrip())


def test_a_sweep_is_kept_and_comes_back_with_its_page(edgekit: Run, made: Path, quiet_home: Path) -> None:
    swept = edgekit("sweep", "sweep.toml", "--record", "--report", "sweep.json", "--report", "sweep.html", "--json")

    shown = edgekit("history", "show", "1")
    document = edgekit("history", "show", "1", "--json").document
    profiled = edgekit(*PROFILE, "--record")
    series = edgekit("history", "plot", "net", "--json").document["series"]
    again = edgekit("history", "import", "sweep.json", "--json").document

    (row,) = swept.document["combinations"]
    assert document["sweep"] == swept.document == json.loads(Path("sweep.json").read_text())
    assert (len(row["medians"]), swept.document["models"][0]["spec"]["name"]) == (5, "net")
    assert shown.out.startswith("edgekit sweep sweep.toml")
    assert "bundle onnx-fp32" in Path("sweep.html").read_text()
    # A sweep and a profile of one artifact on one target are one course.
    assert profiled.code == 0
    assert [[(one["run"], one["command"]) for one in found["points"]] for found in series] == [
        [(1, "sweep"), (2, "profile")]
    ]
    assert (again["added"], again["known"]) == ([], 1)


def test_runs_of_a_branch_are_listed(
    edgekit: Run, made: Path, quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SHA", "c0ffee")
    for branch in ("main", "fix"):
        monkeypatch.setenv("GITHUB_HEAD_REF", branch)
        edgekit(*PROFILE, "--record")

    found = edgekit("history", "list", "--branch", "fix", "--json").document
    listed = edgekit("history", "list", "--branch", "fix")

    assert [(run["number"], run["branch"], run["commit"]) for run in found["runs"]] == [(2, "fix", "c0ffee")]
    assert "fix" in listed.out
    assert "No run" in edgekit("history", "list", "--branch", "other").out


def test_nothing_is_kept_unless_the_user_says_so(edgekit: Run, made: Path, quiet_home: Path) -> None:
    edgekit(*PROFILE)

    listed = edgekit("history", "list")

    assert not (quiet_home / ".local/share/edgekit").exists()
    assert listed.code == 2
    assert "There is no history" in listed.err


def test_the_setting_keeps_every_run(edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HISTORY", str(made / "runs.sqlite"))

    edgekit(*PROFILE)
    edgekit("check", "--launches", "5", "--time-limit", "1ms")

    commands = [run["command"] for run in edgekit("history", "list", "--json").document["runs"]]
    assert sorted(commands) == ["check", "profile"]
    assert (made / "edgekit-history.jsonl").exists()


def test_reports_of_earlier_commands_are_kept_once(edgekit: Run, made: Path) -> None:
    edgekit(*PROFILE, "--report", "report.json")

    first = edgekit("history", "import", "report.json", "--json").document
    again = edgekit("history", "import", "report.json", "--json").document

    assert (first["added"], first["known"]) == ([1], 0)
    assert (again["added"], again["known"]) == ([], 1)


def test_a_file_that_is_not_a_report_keeps_nothing(edgekit: Run, made: Path, quiet_home: Path) -> None:
    edgekit(*PROFILE, "--report", "report.json")
    Path("odd.json").write_text('{"command": ["tune"]}')

    done = edgekit("history", "import", "report.json", "odd.json")

    assert done.code == 5
    assert "odd.json" in done.err
    assert not (quiet_home / ".local/share/edgekit").exists()


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_runs_are_written_for_other_programs(form: str, edgekit: Run, made: Path) -> None:
    edgekit(*PROFILE, "--record")

    edgekit("history", "export", f"runs.{form}")

    row = READERS[form](Path(f"runs.{form}"))
    (kept,) = edgekit("history", "show", "1", "--json").document["run"]["latency"]
    assert (row["artifact"], row["target"]) == ("onnx-fp32", "local")
    # None where the machine was too busy for a median within the limit.
    assert (float(row["p50"]) if row["p50"] else None) == kept["p50"]


def _json(path: Path) -> dict[str, Any]:
    latency: dict[str, Any] = json.loads(path.read_text())["runs"][0]["latency"][0]
    return latency


def _csv(path: Path) -> dict[str, Any]:
    with path.open(newline="") as stream:
        return next(csv.DictReader(stream))


def _parquet(path: Path) -> dict[str, Any]:
    from pyarrow import parquet

    row: dict[str, Any] = parquet.read_table(path).to_pylist()[0]
    return row


READERS = {"json": _json, "csv": _csv, "parquet": _parquet}


def test_figures_are_shown_after_the_whole_report_was_removed(edgekit: Run, made: Path) -> None:
    edgekit(*PROFILE, "--record")

    planned = edgekit("history", "prune", "--keep", "0", "--dry-run")
    done = edgekit("history", "prune", "--keep", "0")

    assert planned.out.startswith("remove 1 of 1 whole reports")
    assert done.out.startswith("1 whole reports removed")
    assert "The whole report was removed" in edgekit("history", "show", "1").out


def test_a_run_that_cannot_be_kept_is_a_warning(edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("runs.sqlite").write_text("not a database, " * 100)
    monkeypatch.setenv("EDGEKIT_HISTORY", str(made / "runs.sqlite"))

    done = edgekit(*PROFILE)

    assert done.code == 0
    assert "Warning: The run is not kept: " in done.err
    assert "onnx-fp32" in done.out


def test_a_missing_package_is_told_before_anything_is_measured(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)

    done = edgekit(*PROFILE, "--record", "--report", "report.json")

    assert done.code == 3
    assert "sqlalchemy>=" in done.err
    assert not Path("report.json").exists()


def test_another_database_is_told_before_anything_is_measured(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_HISTORY", "mysql://me:secret@host/runs")

    done = edgekit(*PROFILE)

    assert done.code == 2
    assert "secret" not in done.err


def test_a_password_is_in_no_report_and_not_in_the_settings_shown(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_HISTORY", "postgresql://me:secret@127.0.0.1:1/runs")

    done = edgekit(*PROFILE, "--json")
    shown = edgekit("config", "show", "--json")

    assert "onnx-fp32" in done.out
    assert "The run is not kept" in done.err
    assert "secret" not in done.out + done.err + shown.out
    assert "me:***@127.0.0.1" in shown.out


CHECK = ("check", "--launches", "5", "--time-limit", "1ms")


def test_checks_on_two_machines_share_one_history(edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_HISTORY", str(made / "runs.sqlite"))
    edgekit(*CHECK)
    # The other machine has no file of its own.
    Path("edgekit-history.jsonl").unlink()
    edgekit(*CHECK)

    both = with_kept_lines((), made, str(made / "runs.sqlite"))
    (own,) = read_history(made / "edgekit-history.jsonl")

    # A run on a machine whose clock changes has no median, so that the points of a series are not counted here.
    assert len(both) == 2
    assert both[1] == own


def test_what_was_checked_before_is_shared_and_imported_once(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edgekit(*CHECK)
    monkeypatch.setenv("EDGEKIT_HISTORY", str(made / "runs.sqlite"))
    first = edgekit("history", "import", "edgekit-history.jsonl", "--json").document
    edgekit("history", "accept", "--why", "first")
    again = edgekit("history", "import", "edgekit-history.jsonl", "--json").document
    Path("edgekit-history.jsonl").unlink()

    shown = edgekit("history", "show", "--json").document
    kept = with_kept_lines((), made, str(made / "runs.sqlite"))
    (values,) = (line.values for line in kept if isinstance(line, history.Run))

    assert (first["lines"], again["lines"]) == (1, 0)
    assert sum(series["runs"] for series in shown["series"]) == len(values)
    assert shown["accepted"][0]["why"] == "first"


def test_a_check_goes_on_with_its_own_file_where_the_store_is_away(
    edgekit: Run, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_HISTORY", "postgresql://me:secret@127.0.0.1:1/runs")

    done = edgekit(*CHECK)

    assert done.code == 0
    assert "The history is read without what others kept" in done.err
    assert "The run is not added to the shared history" in done.out
    assert len(Path("edgekit-history.jsonl").read_text().splitlines()) == 1


def test_two_runs_are_compared_without_measuring(edgekit: Run, made: Path) -> None:
    for _ in range(2):
        edgekit(*PROFILE, "--record")

    found = edgekit("history", "compare", "1", "2", "--minimum-effect", "80%", "--json").document

    assert (found["a"], found["b"], len(found["pairs"])) == ("run 1", "run 2", 1)
    assert len(found["pairs"][0]["medians_a"]) == 5


def test_a_run_without_raw_values_is_not_compared(edgekit: Run, made: Path) -> None:
    edgekit(*PROFILE, "--record")
    edgekit("history", "prune", "--keep", "0")

    done = edgekit("history", "compare", "1", "1")

    assert done.code == 2
    assert "Run 1 has no whole report any more" in done.err


def test_the_median_of_a_model_is_drawn_from_run_to_run(edgekit: Run, made: Path) -> None:
    for _ in range(2):
        edgekit(*PROFILE, "--record")

    drawn = edgekit("history", "plot", "net", "--report", "net.svg")
    document = edgekit("history", "plot", "net", "--json").document
    of_file = edgekit("history", "plot", "nets/net.onnx", "--json").document
    listed = edgekit("history", "list", "--model", "net.onnx", "--json").document
    wrong = edgekit("history", "plot", "nett")
    other = edgekit("history", "plot", "net", "--report", "net.html")

    assert drawn.out.startswith("net: onnx-fp32 on local\n")
    assert "Report: net.svg" in drawn.out
    assert Path("net.svg").read_text().startswith("<svg ")
    assert [point["run"] for point in document["series"][0]["points"]] == [1, 2]
    assert of_file["series"] == document["series"]
    assert listed["total"] == 2
    assert (wrong.code, other.code) == (2, 2)
    assert "Did you mean 'net'?" in wrong.err
    assert "does not end in .json, .svg" in other.err
