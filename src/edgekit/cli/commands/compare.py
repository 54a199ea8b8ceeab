"""`edgekit compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import (
    Duration,
    Share,
    axis_sizes_option,
    report_option_of,
    target_option,
    time_limit_option,
    wait_option,
)
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.comparison import ComparisonReport


@click.command(
    "compare",
    cls=Command,
    examples=[
        "edgekit compare digits-bundle::onnx-fp32 digits-bundle::onnx-int8",
        "edgekit compare before.onnx after.onnx --target local --report comparison.md",
        "edgekit compare monday.json tuesday.json",
    ],
)
@click.argument("a", help="The reference: BUNDLE::RECIPE, a .onnx or .tflite file, or a report (.json).")
@click.argument("b", help="What to compare with it, of the same kind.")
@target_option
@click.option(
    "--launches",
    type=int,
    default=8,
    show_default=True,
    metavar="NUMBER",
    help="Pairs of fresh processes before the first evaluation; at most four times as many in all.",
)
@time_limit_option
@click.option(
    "--time-box", type=Duration(), default=45.0, show_default="45s", metavar="TIME", help="Time limit per target."
)
@click.option(
    "--minimum-effect",
    type=Share(),
    metavar="SHARE",
    help="Smallest difference that counts, e.g. 3%.  [setting: minimum_effect]",
)
@axis_sizes_option
@wait_option
@report_option_of("compare", ".html, .json or .md")
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    a: str,
    b: str,
    target: tuple[str, ...],
    launches: int,
    time_limit: float | None,
    time_box: float,
    minimum_effect: float | None,
    sizes: tuple[str, ...],
    wait: float | None,
    report: tuple[Path, ...],
) -> int:
    """Compare the latency of two artifacts, or of two reports.

    Measures artifacts alternately, pair by pair, until B is known to be faster than A, slower, or equal within the
    minimum effect. Exits with 0 if B is faster or equal, with 1 if it is slower, with 4 if the time ran out before
    that was known.
    """
    from edgekit.cli.reports import rendered, write_documents
    from edgekit.flows.compare import compare_order
    from edgekit.report.comparison import render

    settings = call.settings(minimum_effect=minimum_effect, wait_s=wait)

    def show(found: ComparisonReport) -> int:
        write_documents(found, report)
        call.answer(found, lambda shown: rendered(shown, render, call.output, report, pipe_columns=80))
        call.keep(found)
        return found.exit_code

    return call.perform(
        lambda progress: compare_order(
            a,
            b,
            target=target or settings.target,
            launches=launches,
            time_limit_s=time_limit,
            time_box_s=time_box,
            sizes=sizes,
            settings=settings,
            progress=progress,
        ),
        show,
    )
