"""The history: lines that are only appended, levels that are accepted with a reason, steps that are blamed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.runtime.tflite_files import two_signatures

from edgekit.core.errors import Unreadable, UserError
from edgekit.core.reports.history import HISTORY_SCHEMA, Accepted, Line, Run
from edgekit.core.verdict import Verdict
from edgekit.flows import history
from edgekit.flows.check import check_order
from edgekit.flows.judging import history as store
from edgekit.flows.opening.repository import branch_of, commit_of, reproduction
from edgekit.flows.order import door

accept = door(history.accept_order)
SERIES = "net/onnx-fp32@local"


def run(value: float, *, commit: str = "", undecided: bool = False, check: str = "c") -> Run:
    return Run(
        created="now",
        commit=commit,
        verdict=Verdict.PASS,
        values={SERIES: value},
        checks=(check,),
        inconclusive=(check,) if undecided else (),
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edgekit.toml"
    path.write_text('[[check.models]]\npath = "net.onnx"\nbaseline = "old/net.onnx"\n')
    (tmp_path / "net.onnx").write_bytes(b"new")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "net.onnx").write_bytes(b"old")
    return path


def test_lines_come_back_in_order(tmp_path: Path) -> None:
    lines: list[Line] = [
        run(1e-3),
        Accepted(created="now", commit="c0ffee", why="larger", models=("net",)),
        run(2e-3),
    ]
    for line in lines:
        store.append(tmp_path / "sub" / "h.jsonl", line)

    assert store.read_history(tmp_path / "sub" / "h.jsonl") == tuple(lines)
    assert store.read_history(tmp_path / "none.jsonl") == ()


@pytest.mark.parametrize("text", ['{"kind":"run"}', "no json", '{"kind":"other"}'])
def test_a_damaged_line_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "h.jsonl"
    store.append(path, run(1e-3))
    with path.open("a") as stream:
        stream.write(f"{text}\n")

    with pytest.raises(Unreadable, match="Line 2 of"):
        store.read_history(path)


def test_a_torn_line_is_told_and_set_aside_by_the_next_run(config: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = config.parent / "edgekit-history.jsonl"
    store.append(path, run(1e-3))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])

    assert store.read_history(path) == (run(1e-3),)
    assert [one.runs for one in history.show(config).series] == [1]
    accept(config, why="larger input")

    told = f"Line 2 of '{path}' is left out: it ends in the middle, as a killed command or a full disk leaves it."
    assert caplog.messages[0] == told
    assert caplog.messages[-1].startswith(f"The last line of '{path}' was moved to '{path}.torn': it ends")
    assert [type(line) for line in store.read_history(path)] == [Run, Accepted]
    assert Path(f"{path}.torn").read_bytes() == whole[:40] + b"\n"


def test_a_last_line_without_a_line_end_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    store.append(path, run(1e-3))
    path.write_bytes(path.read_bytes().rstrip())

    assert store.read_history(path) == (run(1e-3),)
    assert store.append(path, run(2e-3)) == ""
    assert store.read_history(path) == (run(1e-3), run(2e-3))


def test_a_newer_line_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    store.append(path, run(1e-3))
    path.write_text(path.read_text().replace(f'"schema_version":{HISTORY_SCHEMA}', '"schema_version":99'))

    with pytest.raises(Unreadable, match="schema 99"):
        store.read_history(path)


def test_a_series_begins_anew_with_the_accepted_value() -> None:
    accepted = Accepted(created="now", commit="", why="larger", models=("net",))

    found = store.points([run(1e-3), run(2e-3), accepted, run(2.1e-3)], SERIES)

    assert [point.value for point in found] == [2e-3, 2.1e-3]
    other = Accepted(created="now", commit="", why="larger", models=("another",))
    assert len(store.points([run(1e-3), other, run(1e-3)], SERIES)) == 2


def test_undecided_runs_are_counted_up_to_the_last_decision() -> None:
    lines = [run(1e-3, undecided=True), run(1e-3), run(1e-3, undecided=True), run(1e-3, undecided=True)]

    assert store.in_a_row(lines, "c") == 2
    assert store.in_a_row(lines, "another") == 0
    assert store.in_a_row([], "c") == 0


def test_the_first_slow_run_is_blamed_with_its_commit(config: Path) -> None:
    path = config.parent / "edgekit-history.jsonl"
    for number in range(12):
        noise = 1e-6 * (number % 3)
        store.append(path, run(1e-3 + noise + (1e-4 if number >= 8 else 0), commit=f"commit{number}"))

    found = history.show(config)

    assert found.series[0].slower is not None
    assert found.series[0].slower.since.commit == "commit8"
    assert found.series[0].slower.before.commit == "commit7"
    assert found.series[0].slower.size == pytest.approx(0.1, abs=0.01)


def test_a_steady_series_blames_nothing(config: Path) -> None:
    for number in range(12):
        store.append(config.parent / "edgekit-history.jsonl", run(1e-3 + 1e-6 * (number % 3)))

    assert history.show(config).series[0].slower is None


def test_accepting_replaces_the_baseline_and_keeps_the_reason(config: Path) -> None:
    found = accept(config, why=" larger input ")

    assert (config.parent / "old" / "net.onnx").read_bytes() == b"new"
    lines = store.read_history(config.parent / "edgekit-history.jsonl")
    assert lines == (found.accepted,)
    assert (found.accepted.why, found.accepted.models) == ("larger input", ("net",))


def test_an_order_to_accept_changes_nothing(config: Path) -> None:
    with history.accept_order(config, why="larger") as order:
        steps = order.steps()

    assert (config.parent / "old" / "net.onnx").read_bytes() == b"old"
    assert "old/net.onnx" in steps[0]


def test_a_folder_becomes_the_baseline_whole(config: Path) -> None:
    (config.parent / "bundle").mkdir()
    (config.parent / "bundle" / "manifest.json").write_text("{}")
    # The mark of what edgekit wrote; anything else would not be replaced.
    (config.parent / "old" / "manifest.json").write_text('{"schema_version": 1, "artifacts": []}')
    config.write_text('[[check.models]]\npath = "bundle"\nbaseline = "old"\n')

    accept(config, why="first")

    assert [path.name for path in (config.parent / "old").iterdir()] == ["manifest.json"]


def test_a_baseline_of_one_signature_is_accepted_and_found(tmp_path: Path) -> None:
    config = tmp_path / "edgekit.toml"
    config.write_text(
        '[[check.models]]\nname = "net"\npath = "net.tflite@signature=encode"\n'
        'baseline = "old/net.tflite@signature=encode"\n'
    )
    two_signatures(tmp_path / "net.tflite")
    (tmp_path / "old").mkdir()

    with pytest.raises(UserError, match="no baseline"), check_order(config):
        pass
    accept(config, why="first")

    assert (tmp_path / "old" / "net.tflite").read_bytes() == (tmp_path / "net.tflite").read_bytes()
    assert [one.name for one in (tmp_path / "old").iterdir()] == ["net.tflite"]
    with check_order(config) as order:
        assert any("old/net.tflite@signature=encode" in step for step in order.steps())


@pytest.mark.parametrize(
    ("why", "model", "message"),
    [(" ", (), "needs its reason"), ("x", ("nett",), "Unknown model 'nett'. Did you mean 'net'")],
)
def test_accepting_without_a_reason_or_an_unknown_model_is_refused(
    config: Path, why: str, model: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        accept(config, why=why, model=model)


def test_a_report_is_no_baseline_that_can_be_copied(config: Path) -> None:
    config.write_text('[[check.models]]\npath = "net.onnx"\nbaseline = "old.json"\n')

    with pytest.raises(UserError, match="is a report") as failure:
        accept(config, why="x")

    folder = config.parent
    assert failure.value.hint == f"edgekit profile {folder / 'net.onnx'} --report {folder / 'old.json'}"


def test_the_commit_is_what_ci_says_else_what_git_says(tmp_path: Path) -> None:
    assert commit_of(tmp_path, {"GITHUB_SHA": "abc"}) == "abc"
    assert commit_of(tmp_path, {}) == ""


def test_the_branch_is_what_ci_says_else_what_git_says(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    assert branch_of(tmp_path, {}) == ""
    subprocess.run([*git, "init", "-q", "-b", "fix/slow"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)

    assert branch_of(tmp_path, {}) == reproduction(tmp_path, {}).branch == "fix/slow"
    assert branch_of(tmp_path, {"GITHUB_REF_NAME": "5/merge", "GITHUB_HEAD_REF": "fix"}) == "fix"
    assert branch_of(tmp_path, {"GITHUB_REF_NAME": "v1", "GITHUB_REF_TYPE": "tag"}) == ""
    subprocess.run([*git, "checkout", "-q", "--detach"], check=True)
    assert branch_of(tmp_path, {}) == reproduction(tmp_path, {}).branch == ""
