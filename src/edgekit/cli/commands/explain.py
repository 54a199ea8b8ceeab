"""`edgekit explain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import path_type
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.explain import CauseGroup, ExplainReport


@click.command(
    "explain",
    cls=Command,
    examples=["edgekit explain digits-edgekit/report.json", "edgekit explain tuesday.json monday.json"],
)
@click.argument("report", type=path_type, help="A report (.json) of 'build' or 'profile'.")
@click.argument("other", type=path_type, required=False, help="A second report to compare the times with.")
@common()
def command(call: Call, report: Path, other: Path | None) -> None:
    """Explain why the times in a report are what they are.

    Prints each cause with its evidence and a command that tests it. Times without a cause are listed as unexplained.
    """
    from edgekit.flows.explain import explain

    found = explain(report, other)
    call.answer(found, lambda shown: "\n".join(_lines(shown)))


def _lines(found: ExplainReport) -> Iterator[str]:
    from edgekit.core.reports.explain import grouped

    for cause in grouped(found.causes):
        yield from _cause(cause)
    yield from (f"Unexplained: {text}." for text in found.unexplained)
    yield from (f"Not examined: {text}." for text in found.unseen)
    if not found.causes and not found.unexplained:
        yield "There is nothing to explain."


def _cause(cause: CauseGroup) -> Iterator[str]:
    """The cause once; where it has several places, each with its own evidence."""
    places = [(f"{', '.join(one.artifacts)} on {one.target}", one.evidence) for one in cause.places]
    is_one = len(places) == 1
    yield f"{places[0][0]}: {cause.name}" if is_one else cause.name
    yield f"  {cause.says}"
    for where, evidence in places:
        yield from [] if is_one else [f"  {where}"]
        yield from (f"  - {text}" for text in evidence)
    yield from (f"  test it: {command}" for command in cause.commands)
    yield ""
