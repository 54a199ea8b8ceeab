"""`edgekit tools`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.program import Commands

if TYPE_CHECKING:
    from edgekit.core.reports.setup.tools import ToolReport


@click.group("tools", cls=Commands)
def command() -> None:
    """Install converters that need their own environment."""


@command.command(
    "install",
    cls=Command,
    examples=["edgekit tools install onnx2tf", "edgekit tools install onnx2tf --python /usr/bin/python3.12"],
)
@click.argument("tool", help="onnx2tf: converts .onnx files to .tflite; 0.7 GB.")
@click.option("--python", default="", metavar="FILE", help="The Python to use.  [default: a suitable one]")
@common(acts=True)
def install_command(call: Call, tool: str, python: str) -> int:
    """Install a converter into a Python environment in edgekit's cache.

    Downloads the converter from the package index. The environment may be deleted at any time. Installing twice has
    no effect.
    """
    from edgekit.flows.tools import install_order

    settings = call.settings()
    return call.perform(
        lambda _: install_order(tool, python=python, settings=settings),
        lambda found: call.answer(found, _text),
    )


def _text(found: ToolReport) -> str:
    return f"{found.requirement} {'was' if found.was_there else 'is'} installed in {found.folder}"
