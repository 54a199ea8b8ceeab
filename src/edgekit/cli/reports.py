"""Reports on the terminal, and in files of the user's choice."""

from __future__ import annotations

import io
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from edgekit.core.verdict import Verdict

if TYPE_CHECKING:
    from rich.console import Console

    from edgekit.cli.output import Output
    from edgekit.core.reports.report import Report
    from edgekit.report.registry import CommandDocument

# Where nobody resizes a window: as wide as a CI log shows without a scroll bar.
PIPE_COLUMNS: Final = 100
Document = TypeVar("Document")


def as_text(report: Report, output: Output, files: Iterable[Path]) -> str:
    """The report as text, and the files it was written to."""
    from edgekit.report.terminal import render

    return rendered(report, render, output, files)


def rendered(
    document: Document,
    render: Callable[[Document, Console], None],
    output: Output,
    files: Iterable[Path] = (),
    *,
    pipe_columns: int = PIPE_COLUMNS,
) -> str:
    """A document as `render` draws it, as wide as the output, in colour if the output shows colours.

    Below it are the files that it was written to.
    """
    from rich.console import Console

    buffer = io.StringIO()
    # None lets rich decide by FORCE_COLOR and NO_COLOR: rich takes no buffer for a terminal.
    console = Console(file=buffer, force_terminal=output.is_terminal or None, width=output.columns or pipe_columns)
    render(document, console)
    return with_files("\n".join(line.rstrip() for line in buffer.getvalue().splitlines()), files)


def with_files(text: str, files: Iterable[Path]) -> str:
    """`text`, and a line for every file that the report was written to."""
    return "\n".join([text, *(f"Report: {path}" for path in files)])


def write_files(report: Report, files: Iterable[Path]) -> None:
    """Write the report to every file; the suffix selects the form."""
    for path in files:
        from edgekit.report.registry import write_report

        write_report(report, path)


def write_documents(document: CommandDocument, files: Iterable[Path]) -> None:
    """Write the document of a command to every file; the name selects the form."""
    for path in files:
        from edgekit.report.registry import write_document

        write_document(document, path)


def bisect_command(report: Report) -> str:
    """The `bisect` command for the first artifact that failed parity; empty if none failed."""
    failed = [check.artifact for check in report.parity if check.verdict is Verdict.FAIL]
    if not failed or not report.bundle or Path(report.bundle).suffix in (".onnx", ".tflite"):
        return ""
    sound = [one for one in report.artifacts if one.recipe not in failed and one.precision == "fp32"]
    wanted = next((one.format for one in report.artifacts if one.recipe == failed[0]), "")
    # The same format has the same operators: a finding there is the most exact.
    near = sorted(sound, key=lambda one: one.format != wanted)
    return f"edgekit bisect {shlex.quote(report.bundle)} {near[0].recipe if near else 'torch'} {failed[0]}"


def resumable_file(report: Report, files: Iterable[Path]) -> Path | None:
    """Where an incomplete report is kept for `--resume`: the first .json of `files`, or one of its own.

    None for a report of `validate`, which cannot be resumed.
    """
    if report.command == "validate" or not any(one.is_open for one in report.missing):
        return None
    own = Path(f"{Path(report.bundle).stem}.incomplete.json")
    return next((path for path in files if path.suffix == ".json"), own)


def resume_command(report: Report, kept: Path) -> str:
    """The command that measures what `report`, which is in the file `kept`, misses."""
    targets = ",".join(one.target for one in report.outcomes)
    return shlex.join(["edgekit", "profile", report.bundle, "--target", targets, "--resume", str(kept)])
