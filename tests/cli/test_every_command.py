"""One table walks every command: what each one promises, whatever it does."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import psutil
import pytest

from edgekit.cli.commands.bundle import InspectDocument, PackDocument, VerifyDocument
from edgekit.cli.commands.completion import CompletionDocument
from edgekit.cli.commands.config import SettingsDocument
from edgekit.cli.common import Command
from edgekit.cli.main import run
from edgekit.cli.output import ErrorDocument
from edgekit.cli.program import COMMANDS, Commands, program
from edgekit.core.reports.bisection import Bisection
from edgekit.core.reports.check import CheckReport
from edgekit.core.reports.comparison import ComparisonReport
from edgekit.core.reports.explanation import Explanation
from edgekit.core.reports.graph import GraphDiff
from edgekit.core.reports.report import Report
from edgekit.core.reports.run import RunReport
from edgekit.core.reports.train import TrainReport
from edgekit.core.reports.tuning import TuneReport
from edgekit.flows.devices import DeviceChange, DeviceChecks, DeviceList
from edgekit.flows.doctor import Diagnosis
from edgekit.flows.history import AcceptDocument, HistoryDocument
from edgekit.flows.list import Listing
from edgekit.flows.order import Plan

Run = Callable[..., Any]
COLUMNS = 80


@dataclass(frozen=True)
class Row:
    """One command: arguments that end with one of `codes` in the folder `made`, and what `--json` prints then.

    `plan` is what it prints with `--dry-run` when it acts. `stage` is the line on stderr after which it is
    interrupted while it works, and `said` what it says then. A command that is over before a person can press a key
    is interrupted in the function `stops_at`, which never ends for that purpose. `before` is a command to run first.
    `keeps` is the folder of what was done so far, for a command that can go on from there.
    """

    path: str
    arguments: str
    document: type
    plan: type | None = None
    stage: str = ""
    stops_at: str = "edgekit.cli.common.Call.answer"
    said: str = "Interrupted."
    slow: bool = False
    codes: tuple[int, ...] = (0,)
    before: str = ""
    keeps: str = ""

    def words(self, *more: str) -> list[str]:
        return [*self.path.split(), *shlex.split(self.arguments), *more]


_NET = "net.py:net --samples samples.npz --to onnx-fp32"
_ADD = "devices add pi5 --ssh pi@pi5.invalid"
# No machine has a name in .invalid; commands that reach one are tested with the stand-ins of devices.
_UNREACHABLE: dict[str, Any] = {"codes": (3,), "before": _ADD, "stops_at": "edgekit.flows.devices.open_shell"}
TABLE = [
    Row("build", f"{_NET} --launches 1 --time-limit 10ms --out built", Report, Plan, "profile", slow=True),
    Row(
        "train",
        "digits --set epochs=1 --out run",
        TrainReport,
        Plan,
        "train digits",
        said="--resume",
        keeps="made/run/",
        slow=True,
    ),
    Row("export", f"{_NET} --out exported", Report, Plan, "export and parity", slow=True),
    Row("validate", "bundle", Report),
    Row("bisect", "bundle onnx-fp32 onnx-fp32", Bisection),
    Row("run", "bundle --input sample:0", RunReport),
    Row("profile", "bundle --launches 1 --time-limit 10ms --batch 1,2 --operators", Report, Plan),
    Row("tune", "bundle --time-limit 1ms", TuneReport, Plan, "tuning on local", slow=True),
    Row(
        "compare",
        "bundle bundle --launches 5 --time-limit 1ms --minimum-effect 80%",
        ComparisonReport,
        Plan,
        slow=True,
    ),
    Row("check", "--launches 5 --time-limit 10ms", CheckReport, Plan, "check bundle"),
    Row("history show", "", HistoryDocument),
    Row("history blame", "", HistoryDocument),
    Row("history accept", "--why 'a larger input'", AcceptDocument, Plan, stops_at="edgekit.flows.history.append"),
    Row(
        "explain",
        "report.json",
        Explanation,
        before="profile bundle --launches 5 --time-limit 1ms --report report.json",
    ),
    Row("bundle inspect", "bundle", InspectDocument),
    Row("bundle diff", "bundle onnx-fp32 onnx-fp32", GraphDiff),
    Row("bundle verify", "bundle", VerifyDocument),
    Row("bundle pack", "bundle --out packed.edgekit", PackDocument, PackDocument, stops_at="zipfile.ZipFile.writestr"),
    Row("devices list", "", DeviceList),
    Row("devices add", "pi5 --ssh pi@pi5.invalid", DeviceChange, Plan, stops_at="edgekit.devices.inventory.add"),
    Row("devices check", "pi5", DeviceChecks, **_UNREACHABLE),
    Row("devices prepare", "pi5", ErrorDocument, Plan, **_UNREACHABLE),
    Row("devices clean", "pi5", ErrorDocument, Plan, **_UNREACHABLE),
    Row("devices remove", "pi5", DeviceChange, Plan, stops_at="edgekit.devices.inventory.remove", before=_ADD),
    Row("tools install", "onnx2tf", ErrorDocument, Plan, codes=(3,), stops_at="edgekit.flows.tools.InstallOrder.run"),
    Row("list", "recipes", Listing),
    Row("doctor", "", Diagnosis, codes=(0, 3)),
    Row("config show", "--origin", SettingsDocument),
    Row("completion", "bash", CompletionDocument),
]


def _params(rows: Iterable[Row]) -> list[Any]:
    return [pytest.param(row, id=row.path, marks=[pytest.mark.slow] if row.slow else []) for row in rows]


EVERY = _params(TABLE)
ACTING = _params(row for row in TABLE if row.plan)
ANSWERING = _params(row for row in TABLE if row.document is not ErrorDocument)
STOPPED_BY_CI = _params(row for row in TABLE if row.path in ("build", "bundle pack"))
PAGES = [pytest.param(row, id=row.path) for row in TABLE]


def _leaves(group: Commands, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with the words that call it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, Commands):
            yield from _leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


LEAVES = dict(_leaves(program))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection to an address is a failure of the test."""

    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below `folder`, with size and time of change."""
    paths = [path for path in folder.rglob("*") if "__pycache__" not in path.parts]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """The same without folders, which change when something comes and goes in them."""
    return {path: facts for path, facts in _listing(folder).items() if not Path(path).is_dir()}


def test_the_table_names_every_command() -> None:
    assert sorted(row.path for row in TABLE) == sorted(LEAVES)


def test_the_table_of_the_program_says_what_each_command_says() -> None:
    context = click.Context(program)
    for name, (_, summary) in COMMANDS.items():
        command = program.get_command(context, name)
        assert command is not None
        assert (command.help or "").splitlines()[0] == summary


@pytest.mark.parametrize("path", ["", *dict.fromkeys(row.path.partition(" ")[0] for row in TABLE if " " in row.path)])
def test_the_page_of_a_group_fits(edgekit: Run, path: str) -> None:
    done = edgekit(*path.split(), "--help")

    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= COLUMNS


@pytest.mark.parametrize("row", PAGES)
def test_help_fits_and_lists_every_option(edgekit: Run, row: Row) -> None:
    done = edgekit(*row.path.split(), "--help")

    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= COLUMNS
    for parameter in LEAVES[row.path].params:
        assert getattr(parameter, "help", None), f"'{parameter.name}' has no help"
        assert all(name in done.out for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("-"))


@pytest.mark.parametrize("row", PAGES)
def test_the_examples_are_commands_that_parse(row: Row) -> None:
    command = LEAVES[row.path]
    assert isinstance(command, Command)
    text = "\n".join(command.examples).replace("\\\n", "")

    for line in text.splitlines():
        words = _words_of(line)
        path, rest = words[: len(row.path.split())], words[len(row.path.split()) :]
        assert " ".join(path) == row.path, line
        command.make_context(row.path, rest)


def _words_of(line: str) -> list[str]:
    """The words behind `edgekit` in a line for a shell, up to a pipe, a redirection or a comment."""
    inner = re.search(r"\$\((.*)\)", line)
    words = shlex.split(inner[1] if inner else line, comments=True)
    words = words[words.index("edgekit") + 1 :]
    return list(itertools.takewhile(lambda word: word not in ("|", ">"), words))


@pytest.mark.parametrize("row", EVERY)
def test_json_is_one_valid_document_and_quiet_says_nothing_else(
    edgekit: Run, made: Path, no_network: None, row: Row
) -> None:
    edgekit(*row.before.split())

    done = edgekit(*row.words("--json", "--quiet", "--offline"))

    assert done.code in row.codes, done.err
    assert done.err == "" or row.document is ErrorDocument
    jsonschema.validate(done.document, msgspec.json.schema(row.document))
    assert done.document["schema_version"] >= 1
    assert row.path.startswith(done.document["command"])


@pytest.mark.parametrize("row", PAGES)
def test_a_wrong_call_is_one_valid_document_too(edgekit: Run, row: Row) -> None:
    done = edgekit(*row.words("--json", "--no-such-option"))

    assert done.code == 2
    jsonschema.validate(done.document, msgspec.json.schema(ErrorDocument))
    assert done.document["command"] == row.path


@pytest.mark.parametrize("row", ACTING)
def test_a_dry_run_says_what_it_would_do_and_touches_nothing(
    edgekit: Run, made: Path, tmp_path: Path, no_network: None, row: Row
) -> None:
    edgekit(*row.before.split())
    before = _listing(tmp_path)

    told = edgekit(*row.words("--dry-run"))
    document = edgekit(*row.words("--dry-run", "--json"))

    assert (told.code, document.code) == (0, 0), told.err
    assert told.out.strip()
    assert row.plan is not None
    jsonschema.validate(document.document, msgspec.json.schema(row.plan))
    assert _listing(tmp_path) == before


def test_commands_that_write_have_a_dry_run() -> None:
    without = {row.path for row in TABLE if not row.plan}

    options = {path: {one.name for one in command.params} for path, command in LEAVES.items()}
    assert without == {path for path, names in options.items() if "dry_run" not in names}
    assert not [path for path in without if {"out", "force"} & options[path]]


@pytest.mark.parametrize("row", ANSWERING)
def test_a_closed_pipe_ends_quietly(edgekit: Run, made: Path, capsys: pytest.CaptureFixture[str], row: Row) -> None:
    edgekit(*row.before.split())
    read, write = os.pipe()
    os.close(read)
    closed = open(write, "w")  # noqa: SIM115 - closing it fails, which is what is looked at
    usual, sys.stdout = sys.stdout, closed

    try:
        code = run(row.words())
    finally:
        sys.stdout = usual

    assert code == 141
    assert "Error" not in capsys.readouterr().err
    closed.close()  # whatever is left in it goes nowhere by now


@pytest.mark.parametrize("arguments", ["--help", "list recipes", "list recipes --json", "build --help"])
def test_a_process_whose_reader_went_away_ends_quietly(arguments: str) -> None:
    read, write = os.pipe()
    os.close(read)

    done = subprocess.run(
        [sys.executable, "-m", "edgekit", *arguments.split()],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)

    assert (done.returncode, done.stderr) == (141, b"")


# Runs the program with one function that never ends.
ENDLESS = """
import pkgutil, sys, time
place, _, name = sys.argv.pop(1).rpartition(".")

def endless(*arguments, **options):
    print("works", file=sys.stderr, flush=True)
    time.sleep(600)

setattr(pkgutil.resolve_name(place), name, endless)
from edgekit.cli.main import main
main()
"""


@pytest.mark.parametrize("row", EVERY)
def test_ctrl_c_ends_in_130_and_leaves_nothing(edgekit: Run, made: Path, row: Row) -> None:
    edgekit(*row.before.split())

    _stop(row, made.parent, signal.SIGINT)


@pytest.mark.parametrize("row", STOPPED_BY_CI)
def test_a_stop_of_the_job_by_ci_unwinds_like_ctrl_c(made: Path, row: Row) -> None:
    _stop(row, made.parent, signal.SIGTERM)


def _stop(row: Row, folder: Path, sent: signal.Signals) -> None:
    """Stop the command while it works; fails unless it says so, ends in 130, and leaves no file and no process."""
    program_ = ["-m", "edgekit"] if row.stage else ["-c", ENDLESS, row.stops_at]
    before = _files(folder)

    with subprocess.Popen(
        [sys.executable, *program_, *row.words()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _wait_for(process, row.stage or "works")
        helpers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=120)

    assert process.returncode == 130, err
    assert out == ""
    assert row.said in err
    assert "Traceback" not in err
    assert psutil.wait_procs(helpers, timeout=20)[1] == []
    assert before.keys() <= _files(folder).keys()
    left = {path: facts for path, facts in _files(folder).items() if before.get(path) != facts}
    assert [path for path in left if not row.keeps or row.keeps not in path or "/." in path] == []


def _wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Return when the process has written a line that ends with `text` to stderr."""
    assert process.stderr is not None
    for line in process.stderr:
        if line.rstrip().endswith(text):
            return
    raise AssertionError(f"ended with {process.wait()} before '{text}'")


def test_ctrl_c_in_the_first_moment_ends_in_130(made: Path) -> None:
    """While packages load, before any command runs."""
    script = """
import signal
from edgekit.cli import startup
from edgekit.cli.main import main
startup.prepare = lambda: signal.raise_signal(signal.SIGINT)
main()
"""

    done = subprocess.run(
        [sys.executable, "-c", script, "list", "recipes"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


def test_python_m_edgekit_is_the_same_program(process: Run) -> None:
    done = process("list", "recipes", "--json")

    assert done.code == 0
    jsonschema.validate(json.loads(done.out), msgspec.json.schema(Listing))
