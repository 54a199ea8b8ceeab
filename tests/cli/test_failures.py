from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest

from edgekit.cli.failures import translate
from edgekit.core import errors
from edgekit.core.reports.error import ErrorReport

Run = Callable[..., Any]
Fail = Callable[[BaseException], None]


@dataclass(frozen=True)
class Case:
    raised: BaseException
    code: int
    says: str


def _failed_while_unwinding() -> Exception:
    """What `zipfile` raises when Ctrl-C comes while an entry is written."""
    try:
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("Can't close the ZIP file while there is an open writing handle on it.")
    except ValueError as err:
        return err


def _failed_to_import() -> Exception:
    """What comes of Ctrl-C while an extension module is imported for a deployed program."""
    try:
        try:
            raise ImportError("initialization failed") from KeyboardInterrupt()
        except ImportError as err:
            raise errors.MissingExtra("it has no 'onnxruntime' for Python 3.11.7", hint="pip install x") from err
    except errors.MissingExtra as err:
        return err


CASES = [
    Case(errors.VerdictFailed("no"), 1, "no"),
    Case(errors.UserError("wrong"), 2, "wrong"),
    Case(click.UsageError("wrong"), 2, "wrong"),
    Case(click.FileError("f", "gone"), 2, "gone"),
    Case(errors.MissingExtra("none"), 3, "none"),
    Case(errors.VerdictInconclusive("?"), 4, "?"),
    Case(errors.BundleUnreadable("torn"), 5, "torn"),
    Case(errors.ConversionFailed("killed"), 5, "killed"),
    Case(MemoryError(), 3, "not enough memory"),
    Case(OSError(errno.ENOSPC, "No space left on device"), 3, "No space left"),
    Case(PermissionError(errno.EACCES, "Permission denied", "/x"), 3, "'/x'"),
    Case(ImportError("libstdc++.so.6: failed to map segment from shared object"), 3, "not enough memory"),
    Case(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"), 3, "temporary files"),
    Case(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), 3, "no more processes"),
    Case(RuntimeError("can't start new thread"), 3, "no more processes or threads"),
    Case(RuntimeError("another"), 70, "RuntimeError"),
    Case(KeyboardInterrupt(), 130, "Interrupted."),
    Case(_failed_to_import(), 130, "Interrupted."),
    Case(click.Abort(), 130, "Interrupted."),
    Case(_failed_while_unwinding(), 130, "Interrupted."),
    Case(ZeroDivisionError("division by zero"), 70, "ZeroDivisionError: division by zero"),
    Case(SystemExit(1), 70, "ended the process"),
    Case(SystemExit(0), 70, "ended the process"),
    Case(FileNotFoundError(errno.ENOENT, "No such file"), 70, "FileNotFoundError"),
    Case(BrokenPipeError(errno.EPIPE, "Broken pipe"), 70, "BrokenPipeError"),
    Case(RecursionError("deep"), 70, "RecursionError"),
    Case(ExceptionGroup("several", [ValueError("1")]), 70, "several"),
]


def _all_errors(kind: type[errors.EdgekitError] = errors.EdgekitError) -> list[type[errors.EdgekitError]]:
    return [kind, *(inner for child in kind.__subclasses__() for inner in _all_errors(child))]


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.raised))
def test_every_failure_has_the_exit_code_of_its_kind(case: Case) -> None:
    failure = translate(case.raised, ["build", "digits"])

    assert failure.exit_code == case.code
    assert case.says in failure.message


def test_only_a_verdict_ends_in_one() -> None:
    assert [kind for kind in _all_errors() if kind.exit_code == 1] == [errors.VerdictFailed]
    assert [case.raised for case in CASES if case.code == 1] == [CASES[0].raised]


def test_a_fault_of_ours_names_the_command_that_shows_where() -> None:
    failure = translate(KeyError("x"), ["build", "my net.py:Net", "--json"])

    assert failure.hint.startswith("edgekit build 'my net.py:Net' --json --debug ")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Makes `edgekit list models` raise something."""

    def fail(raised: BaseException) -> None:
        def listing(kind: str) -> None:
            raise raised

        monkeypatch.setattr("edgekit.flows.list.listing", listing)

    return fail


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.raised))
def test_a_failing_command_says_error_and_hint_on_stderr_alone(edgekit: Run, failing: Fail, case: Case) -> None:
    failing(case.raised)

    done = edgekit("list", "models")

    assert done.code == case.code
    assert done.out == ""
    assert case.says in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.raised))
def test_a_failing_command_prints_one_document_with_json(edgekit: Run, failing: Fail, case: Case) -> None:
    failing(case.raised)

    done = edgekit("list", "models", "--json")

    jsonschema.validate(done.document, msgspec.json.schema(ErrorReport))
    assert done.document["ok"] is False
    assert done.document["command"] == "list"
    assert done.document["error"]["exit_code"] == done.code == case.code


@pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.raised))
def test_debug_shows_the_traceback_and_changes_no_exit_code(edgekit: Run, failing: Fail, case: Case) -> None:
    failing(case.raised)

    done = edgekit("list", "models", "--debug")

    assert done.code == case.code
    assert "Traceback" in done.err


def test_an_interruption_is_one_line(edgekit: Run, failing: Fail) -> None:
    failing(KeyboardInterrupt())

    assert edgekit("list", "models").err == "Interrupted.\n"


@dataclass(frozen=True)
class Slip:
    arguments: str
    says: str
    hint: str


@pytest.mark.parametrize(
    "slip",
    [
        Slip("biuld digits", "Unknown command 'biuld'. Did you mean 'build'?", "edgekit --help"),
        Slip("zzz", "Unknown command 'zzz'. Known: build, ", "edgekit --help"),
        Slip("bundle verfy x", "Unknown command 'verfy'. Did you mean 'verify'?", "edgekit bundle --help"),
        Slip("build digits --bugdet x", "Unknown option '--bugdet'. Did you mean '--budget'?", "edgekit build --help"),
        Slip("build digits --hlp", "Unknown option '--hlp'. Did you mean '--help'?", "edgekit build --help"),
        Slip("-q list models", "Option '-q' must follow the name of a command.", "edgekit --help"),
        Slip("list modells", "Unknown list 'modells'. Did you mean 'models'?", "edgekit list models"),
        Slip("list", "Missing argument 'KIND'.", "edgekit list --help"),
        Slip("build digits --launches many", "'many' is not a valid integer.", "edgekit build --help"),
        Slip("build digits --time-limit 5parsec", "Unknown unit 'parsec'.", "edgekit build --help"),
        Slip("build digits --time-limit 0", "expected more than 0 s, got '0'.", "edgekit build --help"),
        Slip("build digits --budget", "Option '--budget' requires an argument.", "edgekit build --help"),
        Slip("build digits --launches 0", "--launches: launches: expected int >= 1, got 0.", "edgekit config show"),
        Slip("train digits --set epochs", "'epochs' is not NAME=VALUE.", "--set learning_rate=0.01"),
        Slip("train digits --set epochs=1 --set epochs=2", "Training option 'epochs' is given twice.", ""),
        Slip("completion tcsh", "'tcsh' is not one of", "edgekit completion --help"),
        Slip("bundle", "'edgekit bundle' needs a command.", "edgekit bundle --help"),
        Slip("", "'edgekit' needs a command.", "edgekit --help"),
    ],
    ids=lambda slip: slip.arguments,
)
def test_a_slip_is_answered_with_what_was_meant(edgekit: Run, slip: Slip) -> None:
    done = edgekit(*slip.arguments.split())

    assert done.code == 2
    assert done.out == ""
    assert done.err.startswith(("Error: ", "Usage: "))
    assert slip.says in done.err
    assert f"Hint: {slip.hint}" in done.err or not slip.hint


@pytest.mark.parametrize("action", ["prepare", "clean", "remove"])
def test_a_dry_run_knows_a_device_that_is_not_there(edgekit: Run, action: str) -> None:
    edgekit("devices", "add", "pi5", "--ssh", "pi@pi5.invalid")

    done = edgekit("devices", action, "pi4", "--dry-run")

    assert done.code == 2
    assert "Did you mean 'pi5'" in done.err


def test_a_time_out_of_a_device_has_a_unit(edgekit: Run) -> None:
    assert edgekit("devices", "add", "pi5", "--ssh", "pi@pi5.invalid", "--timeout", "2 min").code == 0

    assert "timeout_s = 120.0" in next(Path.home().rglob("devices.toml")).read_text()
