"""`edgekit tools`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.program import Commands

if TYPE_CHECKING:
    from edgekit.core.reports.tools import ToolReport


@click.group("tools", cls=Commands)
def command() -> None:
    """Install converters that need an environment of their own."""


@command.command(
    "install",
    cls=Command,
    examples=["edgekit tools install onnx2tf", "edgekit tools install onnx2tf --python /usr/bin/python3.12"],
)
@click.argument("tool", help="onnx2tf: makes .tflite files from .onnx files; 0.7 GB.")
@click.option("--python", default="", metavar="FILE", help="The Python to make it with.  [default: one that fits]")
@common(acts=True)
def install_command(call: Call, tool: str, python: str) -> int:
    """Make a Python environment for a converter, in edgekit's cache.

    Takes the converter from the package index. It may be deleted at any time; installing twice does nothing.
    """
    from edgekit.flows.tools import install_order

    settings = call.settings()
    return call.perform(
        lambda progress: install_order(tool, python=python, settings=settings, progress=progress),
        lambda found: call.answer(found, lambda: _text(found)),
    )


def _text(found: ToolReport) -> str:
    return f"{found.requirement} {'was' if found.was_there else 'is'} installed in {found.folder}"
