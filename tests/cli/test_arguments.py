"""Promises of cli/arguments.py."""

from __future__ import annotations

import click
import pytest

from edgekit.cli.commands import build, export, tune

COMMANDS = {"build": build.command, "export": export.command, "tune": tune.command}


@pytest.mark.parametrize("text", ["0.5", "0.5pt", "0.5 pt", "0.5 %"])
@pytest.mark.parametrize("name", COMMANDS)
def test_half_a_point_is_half_a_point_in_every_command(name: str, text: str) -> None:
    assert _max_drop(name).type.convert(text, None, None) == 0.005


@pytest.mark.parametrize("name", COMMANDS)
def test_many_points_need_their_unit(name: str) -> None:
    kind = _max_drop(name).type

    with pytest.raises(click.BadParameter, match="write '50 pt'"):
        kind.convert("50", None, None)
    assert kind.convert("50 pt", None, None) == 0.5


def _max_drop(name: str) -> click.Parameter:
    return next(one for one in COMMANDS[name].params if one.name == "max_drop")
