"""The soak: its verdict over rows with and without growth, and that a fault of each kind is set up and taken away."""

from __future__ import annotations

import random
from typing import Any

import click
import pytest
from benchmarks.soak.commands import COMMANDS
from benchmarks.soak.faults import DOCUMENTED, drawn
from benchmarks.soak.summary import table

from edgekit.cli.program import program
from edgekit.core import errors


def rows(**each: float) -> list[dict[str, Any]]:
    """One row a minute for two hours; each quantity begins at 100 and rises by so much an hour."""
    rng = random.Random(0)
    return [
        {
            "at_s": 60.0 * minute,
            "used_s": 20.0 * minute,
            "fault": "SIGTERM" if minute % 2 else "",
            "problems": [],
            "quantities": {
                name: 100 + rise * minute / 60 + rng.choice([-1, 0, 1]) * (name == "library: MiB")
                for name, rise in each.items()
            },
        }
        for minute in range(120)
    ]


def test_what_stays_level_passes() -> None:
    text, is_steady = table(rows(processes=0, **{"tmp: files": 0, "library: MiB": 0}))

    assert is_steady
    assert "| processes | 100 | 100 | +0 |  |" in text
    assert "1.98 hours, 120 rounds, 120 commands, 60 faults: SIGTERM 60." in text


@pytest.mark.parametrize("name", ["processes", "tmp: files", "tmp: bytes", "library: MiB", "page: open files"])
def test_what_grows_is_found_and_named(name: str) -> None:
    rise = 1e6 if name.endswith("bytes") else 10.0
    text, is_steady = table(rows(**{name: rise, "pi: threads": 0.0}))

    assert not is_steady
    assert text.count("| grows |") == 1
    assert f"grown: ['{name}']" in text


def test_one_wrong_exit_code_fails_it() -> None:
    found = rows(processes=0)
    found[7]["problems"] = ["run bundle exits with 70"]

    assert not table(found)[1]


def test_every_documented_code_of_a_failure_is_right_during_a_fault_and_no_other() -> None:
    codes = {one.exit_code for one in vars(errors).values() if isinstance(one, type) and hasattr(one, "exit_code")}

    assert {0, *codes} - {70, 130, 141} == DOCUMENTED


def test_faults_of_connections_are_drawn_for_commands_that_have_one_alone() -> None:
    local = {drawn(COMMANDS["run"], random.Random(seed)) for seed in range(300)}
    remote = {drawn(COMMANDS["deploy"], random.Random(seed)) for seed in range(300)}

    assert "" in local
    assert remote - local == {"connections cut", "device restarted", "garbage from the shell", "stale lease"}


def test_every_command_line_is_one_of_edgekit() -> None:
    """An option that was renamed is found here, not after two hours."""
    context = click.Context(program)
    for command in COMMANDS.values():
        words = command.words.split()
        found: click.Command | None = program
        while isinstance(found, click.Group):
            found = found.get_command(context, words.pop(0))
        assert found is not None, command.name
        known = {option for parameter in found.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, command.name
