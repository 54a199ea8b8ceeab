"""`edgekit init`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import force_option
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.setup.init import InitReport


@click.command(
    "init", cls=Command, examples=["edgekit init", "edgekit init --ci github", "edgekit init --ci gitlab --force"]
)
@click.option("--ci", type=click.Choice(("github", "gitlab")), help="Also write a workflow that runs 'edgekit check'.")
@force_option
@common(acts=True)
def command(call: Call, ci: str | None, force: bool) -> int:
    """Write an edgekit.toml for the models in this folder.

    Finds bundles, .onnx and .tflite files, limits the size of each to 10 % above the present one, and copies each to
    edgekit-baseline. 'edgekit check' then compares them with these copies: commit both. The file has comments on what
    else it may contain.
    """
    from edgekit.flows.init import init_order

    return call.perform(
        lambda _: init_order(".", ci=ci or "", force=force),
        lambda found: call.answer(found, _text),
    )


def _text(found: InitReport) -> str:
    lines = [f"{name} is written" for name in found.written]
    lines += [f"checks {', '.join(found.models)}", *found.remaining, "Next: edgekit check"]
    return "\n".join(lines)
