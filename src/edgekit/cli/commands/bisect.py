"""`edgekit bisect`."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.arguments import path_type, report_option_of, timeout_option
from edgekit.cli.common import Call, Command, common


@click.command(
    "bisect",
    cls=Command,
    examples=[
        "edgekit bisect digits-bundle onnx-fp32 tflite-int8",
        "edgekit bisect digits-bundle torch onnx-fp32",
        "edgekit bisect net-bundle torch onnx-fp32 --source net.py:Net --case N=5",
    ],
)
@click.argument("path", type=path_type, help="A bundle.")
@click.argument("a", help="The correct artifact, or 'torch' for the module it was made from.")
@click.argument("b", help="The artifact to examine.")
@click.option("--case", default="", metavar="CASE", help="A case of 'validate'.  [default: the first that differs]")
@click.option("--source", default="", metavar="SOURCE", help="The module that 'torch' refers to: FILE.py:FACTORY.")
@click.option("--weights", type=path_type, metavar="FILE", help="Its weights, if the bundle does not contain them.")
@report_option_of("bisect", ".html, .json, .svg or .txt")
@timeout_option
@common()
def command(
    call: Call,
    path: Path,
    a: str,
    b: str,
    case: str,
    source: str,
    weights: Path | None,
    report: tuple[Path, ...],
    timeout: float | None,
) -> None:
    """Find the first tensor where two artifacts diverge.

    Runs both graphs and records every tensor. Tensors are aligned by value and data flow, independent of layout.
    Prints the first one out of tolerance and the one that adds most error, with the module each comes from.
    """
    from edgekit.cli.reports import with_files, write_documents
    from edgekit.flows.bisect import ModuleOptions, bisect
    from edgekit.report.bisect import render_text

    options = ModuleOptions(source, weights)
    with call.progress() as progress:
        found = bisect(
            path, a, b, case=case, module=options, settings=call.settings(timeout_s=timeout), progress=progress
        )
    write_documents(found, report)
    call.answer(found, lambda shown: with_files(render_text(shown).rstrip(), report))
