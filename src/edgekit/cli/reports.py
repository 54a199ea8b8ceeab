"""Reports on the terminal, and in a file of the user's choice."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgekit.cli.output import Output
    from edgekit.core.report import Report

# Where nobody resizes the window: wide enough for every table, narrow enough for a CI log.
PIPE_COLUMNS: Final = 110


def as_text(report: Report, output: Output) -> str:
    """The report as a person reads it; in colour where the output shows colours."""
    from rich.console import Console

    from edgekit.report.terminal import render

    buffer = io.StringIO()
    # None lets rich decide by FORCE_COLOR and NO_COLOR: a buffer is no terminal by itself.
    console = Console(file=buffer, force_terminal=output.is_terminal or None, width=output.columns or PIPE_COLUMNS)
    render(report, console)
    return buffer.getvalue()


def write_file(report: Report, path: Path | None) -> None:
    """Write the report to `path` in the form its suffix names; nothing for None."""
    if path is None:
        return
    from edgekit.report.registry import write_report

    write_report(report, path)
