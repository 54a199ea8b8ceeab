"""`edgekit history`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.commands.check import config_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.output import columns
from edgekit.cli.program import Commands
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.history import HistoryReport, Point, Series

_COMMIT_LETTERS = 10


@click.group("history", cls=Commands)
def command() -> None:
    """Show earlier checks, find the first slow one, accept a new level.

    The history is stored next to the configuration: one line per run, oldest first.
    """


@command.command(
    "show", cls=Command, examples=["edgekit history show", "edgekit history show --config ci/edgekit.toml"]
)
@config_option
@common()
def show_command(call: Call, config: Path) -> None:
    """Print the runs, the last value and the level of every series."""
    from edgekit.flows.history import show

    found = show(config)
    call.answer(found, _shown)


@command.command("blame", cls=Command, examples=["edgekit history blame", "edgekit history blame --json"])
@config_option
@common()
def blame_command(call: Call, config: Path) -> None:
    """Print the first slow run of every series that became slower."""
    from edgekit.flows.history import show

    found = show(config, command="history blame")
    call.answer(found, lambda shown: "\n".join(_blamed(shown)))


@command.command(
    "accept",
    cls=Command,
    examples=['edgekit history accept --why "larger input"', 'edgekit history accept --model kws --why "new labels"'],
)
@config_option
@click.option("--why", required=True, metavar="TEXT", help="The reason, which is recorded in the history.")
@click.option("--model", multiple=True, metavar="NAME", help="Only this model; repeatable.  [default: all]")
@common(acts=True)
def accept_command(call: Call, config: Path, why: str, model: tuple[str, ...]) -> int:
    """Make the current models the baseline, with a reason.

    Copies every model over its baseline file and restarts its series. Nothing else ever changes a baseline.
    """
    from edgekit.flows.history import accept_order

    return call.perform(
        lambda _: accept_order(config, why=why, model=model),
        lambda found: call.answer(
            found, lambda shown: f"accepted: {', '.join(shown.accepted.models)} ({shown.accepted.why})"
        ),
    )


def _shown(found: HistoryReport) -> str:
    from edgekit.report.formatting import at_sizes

    if not found.series:
        return f"'{found.file}' contains no runs yet."
    names = [one.name + at_sizes(one.last.sizes or {}) for one in found.series]
    shown = zip(names, found.series, strict=True)
    rows = [(name, str(one.runs), *_level(one), _place(one.last)) for name, one in shown]
    red = [line for one in found.series for line in _red(one)]
    accepted = [f"{one.created}  accepted: {', '.join(one.models)} ({one.why})" for one in found.accepted]
    return "\n".join([columns([("series", "runs", "last", "level", "change", "at"), *rows]), *red, *accepted])


def _red(one: Series) -> Iterator[str]:
    if one.red_since:
        yield f"{one.name}: red since {_place(one.red_since)}, until its level returns or is accepted"


def _level(one: Series) -> tuple[str, str, str]:
    change = "" if one.level is None else f"{100 * (one.last.value / one.level - 1):+.1f} %"
    return format_value(one.last.value, "s"), format_value(one.level, "s"), change


def _blamed(found: HistoryReport) -> Iterator[str]:
    from edgekit.report.formatting import at_sizes

    slow = [(one.name, one.slower) for one in found.series if one.slower]
    for name, step in slow:
        at = at_sizes(step.since.sizes or {})
        slower = f"{100 * step.size:+.1f} % since {_place(step.since)}"
        yield f"{name}{at}: {slower}; the last good run is {_place(step.before)}"
    if not slow:
        yield "No series became slower by more than its noise."


def _place(point: Point) -> str:
    return f"{point.created} {point.commit[:_COMMIT_LETTERS]}".strip()
