"""`edgekit list`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.options import Call, Command, common
from edgekit.cli.output import columns

if TYPE_CHECKING:
    from edgekit.flows.listing import Listing


@click.command(
    "list",
    cls=Command,
    examples=["edgekit list models", "edgekit list recipes", "edgekit list backends --json"],
)
@click.argument("kind", help="models, recipes, backends, datasets or devices.")
@common()
def command(call: Call, kind: str) -> None:
    """List models, recipes, backends, datasets or devices.

    Plug-ins of other packages are in the list; a broken one shows its error.
    """
    from edgekit.flows.listing import listing

    found = listing(kind)
    call.answer(found, lambda: _text(found))


def _text(found: Listing) -> str:
    return columns((item.name, _about(item.summary, item.problem)) for item in found.items)


def _about(summary: str, problem: str) -> str:
    return f"{summary} ({problem})" if problem else summary
