"""`edgekit export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import (
    force_option,
    making_options,
    path_type,
    report_option,
    source_argument,
    source_name,
    source_options,
    timeout_option,
    to_option,
)
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.report import Report
    from edgekit.flows.opening.source import ExportOptions, SourceOptions


@click.command(
    "export",
    cls=Command,
    examples=[
        "edgekit export digits --to onnx-fp32,tflite-int8 --out digits-bundle",
        "edgekit export runs/mnist --data data --calibration 500",
        "edgekit export net.py:Net --samples samples.npz --to onnx-fp32",
        "edgekit export model.onnx --samples samples.npz --to onnx-int8",
    ],
)
@source_argument
@to_option
@click.option("--out", type=path_type, metavar="BUNDLE", help="Folder to write.  [default: NAME-bundle]")
@force_option
@report_option
@source_options
@making_options
@timeout_option
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    source: str,
    to: tuple[str, ...],
    out: Path | None,
    force: bool,
    report: tuple[Path, ...],
    options: SourceOptions,
    how: ExportOptions,
    timeout: float | None,
) -> int:
    """Convert a model into artifacts, each checked for parity.

    Writes a complete bundle or nothing. Exits with 1 if an artifact differs from the model it was made from, with 5 if
    a recipe could not be made; the bundle then contains the others.
    """
    from edgekit.flows.export import export_order

    folder = out or Path(f"{source_name(source)}-bundle")
    settings = call.settings(timeout_s=timeout)

    def show(found: Report) -> int:
        call.note(f"Bundle: {folder}")
        return call.show_report(found, files=report)

    return call.perform(
        lambda progress: export_order(
            source, out=folder, to=to, options=options, how=how, settings=settings, force=force, progress=progress
        ),
        show,
    )
