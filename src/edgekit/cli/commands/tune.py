"""`edgekit tune`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import (
    Duration,
    Points,
    artifact_option,
    axis_sizes_option,
    first_target,
    parts,
    path_argument,
    report_option_of,
    wait_option,
)
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import targets

if TYPE_CHECKING:
    from edgekit.core.reports.tuning import TuneReport


@click.command(
    "tune",
    cls=Command,
    examples=[
        "edgekit tune digits-bundle --target local",
        "edgekit tune digits-bundle --target pi5@threads=4 --max-drop 1pt",
        "edgekit tune model.onnx --json",
    ],
)
@path_argument
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=targets(),
    help="One device. Options given here are fixed, not searched.  [setting: target]",
)
@artifact_option
@click.option(
    "--max-drop",
    type=Points(),
    default=0.005,
    show_default="0.5pt",
    metavar="POINTS",
    help="Largest accuracy drop, e.g. 0.5pt (error metrics: per cent).",
)
@click.option(
    "--time-limit",
    type=Duration(),
    default=0.1,
    show_default="100ms",
    metavar="TIME",
    help="How long each process keeps timing after warm-up.",
)
@axis_sizes_option
@wait_option
@report_option_of("tune", ".html, .json or .md")
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    path: Path,
    target: str | None,
    artifact: tuple[str, ...],
    max_drop: float,
    time_limit: float,
    sizes: tuple[str, ...],
    report: tuple[Path, ...],
    wait: float | None,
) -> int | None:
    """Find the best artifact, threads and options for a target.

    Measures candidates in rounds; only the faster ones reach the next round. Saves the choice in NAME.tuning.json next
    to the bundle, where 'run' and edgekit.load find it on the same kind of device.
    """
    from edgekit.cli.reports import rendered, write_documents
    from edgekit.flows.tune import tune_order
    from edgekit.report.tune import device_of, render

    settings = call.settings(wait_s=wait)

    def show(found: TuneReport) -> int:
        write_documents(found, report)
        call.answer(found, lambda shown: rendered(shown, render, call.output, report))
        call.keep(found)
        if found.missing:
            call.note(f"Hint: edgekit devices check {device_of(found)}")
        return found.verdict.exit_code

    return call.perform(
        lambda progress: tune_order(
            path,
            target=target or first_target(settings.target),
            artifact=parts(artifact),
            max_drop=max_drop,
            time_limit_s=time_limit,
            sizes=sizes,
            settings=settings,
            progress=progress,
        ),
        show,
    )
