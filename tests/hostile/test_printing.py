from __future__ import annotations

import io
import json
import shlex
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import NET, Done
from tests.cli.conftest import edgekit as edgekit  # noqa: PLC0414 - a fixture
from tests.cli.conftest import quiet_home as quiet_home  # noqa: PLC0414 - a fixture
from tests.cli.every_command import TABLE, Row
from tests.hostile.bundles import COMMAND, HINT, TEXT, VERDICT, write_bundle, write_model

from edgekit.cli.output import Output
from edgekit.cli.printing import say

Run = Callable[..., Done]
# What a stranger's bundle cannot reach: they read no bundle, no model and no device.
READS_NOTHING = {
    *("train", "build", "export", "history accept", "tools install", "list", "doctor", "config show", "completion"),
    *("devices add", "devices check", "devices prepare", "devices clean", "devices remove"),
}
FORMS = ("md", "xml", "html", "codequality.json")
# Further calls of the same commands: files, errors that quote what the bundle says, forms of a report.
MORE = (
    "inspect net.onnx",
    "run net.onnx --input random:0",
    "run bundle --input sample:0 --artifact nothing",
    "run bundle --input sample:99",
    "run bundle --input nothing=sample:0",
    "validate bundle --artifact nothing",
    "bisect bundle onnx-fp32 nothing",
    "validate bundle --report r.md --report r.html --report r.xml --report r.json",
    "inspect hostile/gone",
)


def _launches(row: Row) -> bool:
    return "--launches" in f"{row.arguments} {row.before}"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "net.py").write_text(NET)
    write_bundle(folder / "bundle")
    write_model(folder / "net.onnx")
    name = json.dumps(TEXT)
    (folder / "edgekit.toml").write_text(f'[[check.models]]\nname = {name}\npath = "bundle"\n')
    return folder


@pytest.fixture
def here(hostile: Path, quiet_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(hostile)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(hostile / "summary.md"))
    return hostile


def _assert_harmless(text: str, *, is_terminal: bool = True) -> None:
    lines = text.split("\n")
    assert not is_terminal or "##[" not in text
    kinds = {mark: unicodedata.category(mark) for mark in "".join(lines)}
    assert not [mark for mark, kind in kinds.items() if kind in ("Cc", "Cs", "Zl", "Zp") or mark in "\u202e\u2066"]
    for line in lines:
        assert not line.startswith((VERDICT, HINT)), line
        assert not line.lstrip().startswith(COMMAND), line


def _assert_files_are_harmless(folder: Path) -> None:
    for file in (*folder.glob("r.*"), *folder.glob("summary.md")):
        if file.suffix != ".json":
            _assert_harmless(file.read_text(encoding="utf-8"), is_terminal=False)


def test_what_reads_nothing_and_what_is_walked_are_all_commands() -> None:
    assert {row.path for row in TABLE} >= READS_NOTHING


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.path, marks=[pytest.mark.slow] if row.slow or _launches(row) else [])
        for row in TABLE
        if row.path not in READS_NOTHING
    ],
)
def test_no_command_prints_what_a_hostile_bundle_says_as_it_is(edgekit: Run, here: Path, row: Row) -> None:
    edgekit(*shlex.split(row.before))

    more = ["--force"] if "--out" in row.arguments else []
    more += [word for form in FORMS for word in ("--report", f"r.{form}")] if row.path == "check" else []
    told = edgekit(*row.words(*more))

    assert told.code in (0, 1, 2, 4), told.err
    assert "Traceback" not in told.err
    _assert_harmless(told.out)
    _assert_harmless(told.err)
    _assert_files_are_harmless(here)


@pytest.mark.parametrize("arguments", MORE)
def test_neither_do_errors_files_and_reports(edgekit: Run, here: Path, arguments: str) -> None:
    told = edgekit(*arguments.split())

    assert told.code in (0, 1, 2, 4, 5), told.err
    _assert_harmless(told.out)
    _assert_harmless(told.err)
    _assert_files_are_harmless(here)


@pytest.mark.parametrize("arguments", ["inspect bundle", "run bundle --input sample:0", "inspect net.onnx"])
def test_a_document_contains_the_text_unchanged_and_is_harmless_too(edgekit: Run, here: Path, arguments: str) -> None:
    told = edgekit(*arguments.split(), "--json")

    _assert_harmless(told.out)
    assert TEXT in _texts(told.document)


def _texts(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {text for pair in value.items() for one in pair for text in _texts(one)}
    if isinstance(value, list):
        return {text for one in value for text in _texts(one)}
    return {value} if isinstance(value, str) else set()


def test_progress_errors_and_notes_go_through_the_same_door(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)

    say(f"Error: '{TEXT}'")
    say(TEXT)

    _assert_harmless(stream.getvalue())


def test_colours_of_a_report_stay() -> None:
    stream = io.StringIO()

    Output(stream).write_text("\x1b[32mpass\x1b[0m \x1b]0;title\x07")

    assert stream.getvalue() == "\x1b[32mpass\x1b[0m \ufffd]0;title\ufffd\n"


def test_only_the_door_prints() -> None:
    """No other module of the command line writes to a stream."""
    import edgekit.cli

    folder = Path(edgekit.cli.__file__).parent
    prints = (" print(", "click.echo(", "click.secho(", "stdout.write(", "stderr.write(")
    found = {
        (str(path.relative_to(folder)), word)
        for path in folder.rglob("*.py")
        for word in prints
        if word in path.read_text(encoding="utf-8")
    }

    assert found == {
        ("printing.py", "stderr.write("),
        ("failures.py", "stderr.write("),  # the help page of a group
        ("supervisor.py", "stderr.write("),  # shows the cursor again
        ("pages.py", "stdout.write("),  # the help pages, at a release
        (
            "commands/check.py",
            "click.echo(",
        ),  # commands for GitHub Actions, whose texts are escaped where they are made
    }
