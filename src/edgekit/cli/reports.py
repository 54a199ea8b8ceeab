"""Reports on the terminal, and in files of the user's choice."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from edgekit.cli.output import Output
    from edgekit.core.report import Report

# Where nobody resizes a window: as wide as a CI log shows without a scroll bar.
PIPE_COLUMNS: Final = 100


def as_text(report: Report, output: Output, files: Iterable[Path]) -> str:
    """The report as a person reads it, in colour where the output shows colours, and where it was written."""
    from rich.console import Console

    from edgekit.report.terminal import render

    buffer = io.StringIO()
    # None lets rich decide by FORCE_COLOR and NO_COLOR: a buffer is no terminal by itself.
    console = Console(file=buffer, force_terminal=output.is_terminal or None, width=output.columns or PIPE_COLUMNS)
    render(report, console)
    return buffer.getvalue() + "".join(f"Report: {path}\n" for path in files)


def write_files(report: Report, files: Iterable[Path]) -> None:
    """Write the report to every file, in the form its suffix names."""
    for path in files:
        from edgekit.report.registry import write_report

        write_report(report, path)
