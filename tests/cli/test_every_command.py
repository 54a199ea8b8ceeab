"""One table walks every command: what each one promises, whatever it does."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import msgspec
import pytest
from tests.cli.every_command import ACTING, ANSWERING, EVERY, PAGES, TABLE, Row, files, listing

from edgekit.cli.common import Command
from edgekit.cli.main import run
from edgekit.cli.program import COMMANDS, Commands, program
from edgekit.core.reports.error import ErrorReport
from edgekit.core.reports.setup.list import ListReport

Run = Callable[..., Any]
COLUMNS = 80


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
        command.make_context(row.path, rest, parent=click.Context(program, **program.context_settings))


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
    assert done.err == "" or row.document is ErrorReport
    jsonschema.validate(done.document, msgspec.json.schema(row.document))
    assert done.document["schema_version"] >= 1
    assert row.path.startswith(done.document["command"])


@pytest.mark.parametrize("row", PAGES)
def test_a_wrong_call_is_one_valid_document_too(edgekit: Run, row: Row) -> None:
    done = edgekit(*row.words("--json", "--no-such-option"))

    assert done.code == 2
    jsonschema.validate(done.document, msgspec.json.schema(ErrorReport))
    assert done.document["command"] == row.path


@pytest.mark.parametrize("row", ACTING)
def test_a_dry_run_says_what_it_would_do_and_touches_nothing(
    edgekit: Run, made: Path, tmp_path: Path, no_network: None, row: Row
) -> None:
    edgekit(*row.before.split())
    before = files(tmp_path), set(listing(tmp_path))

    told = edgekit(*row.words("--dry-run"))
    document = edgekit(*row.words("--dry-run", "--json"))

    assert (told.code, document.code) == (0, 0), told.err
    assert told.out.strip()
    assert row.plan is not None
    jsonschema.validate(document.document, msgspec.json.schema(row.plan))
    # SQLite makes files of its own while a store is read.
    assert (files(tmp_path), set(listing(tmp_path))) == before


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
def test_python_m_edgekit_is_the_same_program(process: Run) -> None:
    done = process("list", "recipes", "--json")

    assert done.code == 0
    jsonschema.validate(json.loads(done.out), msgspec.json.schema(ListReport))
