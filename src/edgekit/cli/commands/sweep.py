"""`edgekit sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import report_option_of, wait_option
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.sweep import SweepReport


@click.command(
    "sweep",
    cls=Command,
    examples=[
        "edgekit sweep sweep.toml --dry-run",
        "edgekit sweep sweep.toml --install",
        "edgekit sweep sweep.toml --report sweep.html --record",
    ],
)
@click.argument(
    "file",
    type=click.Path(path_type=Path),
    help="What is combined: models, targets, threads, backend versions.",
)
@click.option("--install", is_flag=True, help="Download the backend versions that are missing, each once.")
@click.option("--again", is_flag=True, help="Measure again what the results already contain.")
@wait_option
@report_option_of("sweep", ".html or .json")
@common(acts=True, chance=True, records=True)
def command(call: Call, file: Path, install: bool, again: bool, wait: float | None, report: tuple[Path, ...]) -> int:
    """Measure every combination of models, targets and backend versions.

    Keeps every launch in a file as soon as it has ended. The same command later measures only what is missing. Backend
    versions are launched alternately and compared, each in an environment of its own. Exits with 0 if none is slower
    than the first, with 1 if one is slower, with 4 if that is not known.
    """
    from edgekit.cli.reports import rendered, write_documents
    from edgekit.flows.sweep import sweep_order
    from edgekit.report.matrices.sweep import render

    settings = call.settings(wait_s=wait)

    def show(found: SweepReport) -> int:
        write_documents(found, report)
        call.answer(found, lambda shown: rendered(shown, render, call.output, report))
        call.keep(found)
        return found.exit_code

    return call.perform(
        lambda progress: sweep_order(file, install=install, again=again, settings=settings, progress=progress), show
    )
