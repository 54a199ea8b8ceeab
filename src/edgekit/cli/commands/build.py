"""`edgekit build`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import (
    force_option,
    launches_option,
    making_options,
    path_type,
    report_option,
    source_argument,
    source_name,
    source_options,
    target_option,
    time_limit_option,
    timeout_option,
    to_option,
    wait_option,
)
from edgekit.cli.common import Call, Command, common
from edgekit.core.errors import UserError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from edgekit.core.system.progress import Progress
    from edgekit.flows.build import BuildOrder, ResumeOrder
    from edgekit.flows.opening.source import ExportOptions, SourceOptions


@click.command(
    "build",
    cls=Command,
    examples=[
        "edgekit build digits --target local",
        'edgekit build digits --budget "latency.p90 <= 8 ms, size <= 100 kB"',
        "edgekit build net.py:Net --samples samples.npz --to onnx-fp32,onnx-int8",
        "edgekit build net.py:Net --input 'x:float32[N,T,40]' --sizes T=32,64 \\",
        "    --samples samples.npz --weights net.safetensors",
    ],
)
@source_argument
@target_option
@to_option
@click.option(
    "--budget", multiple=True, metavar="LIMITS", help="E.g. 'latency.p90 <= 8 ms', comma-separated; repeatable."
)
@click.option("--out", type=path_type, metavar="DIR", help="Folder to write.  [default: NAME-edgekit]")
@force_option
@report_option
@source_options
@making_options
@click.option("--resume", is_flag=True, help="Complete the build in DIR: measure only what its report misses.")
@click.option("--train", "train_first", is_flag=True, help="Train a reference model even if it has weights.")
@launches_option
@time_limit_option
@timeout_option
@wait_option
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    source: str,
    target: tuple[str, ...],
    to: tuple[str, ...],
    budget: tuple[str, ...],
    out: Path | None,
    force: bool,
    report: tuple[Path, ...],
    options: SourceOptions,
    how: ExportOptions,
    resume: bool,
    train_first: bool,
    launches: int | None,
    time_limit: float | None,
    timeout: float | None,
    wait: float | None,
) -> int:
    """Take a model to a verdict: export, validate, profile, judge.

    Writes DIR/bundle, DIR/report.json and DIR/report.html, all or none. Exits with 0 if no artifact fails parity and
    on every target one meets all budgets, with 1 if not, with 4 if the measurement is inconclusive, with 5 if a recipe
    could not be made; the others are judged and kept.
    """
    from edgekit.flows.build import REPORT_HTML, build_order, resume_build_order

    if resume and (force or train_first):
        raise UserError("--resume cannot be combined with --force or --train.", hint="Omit one of them.")
    settings = call.settings(launches=launches, timeout_s=timeout, wait_s=wait)
    folder, targets = out or Path(f"{source_name(source)}-edgekit"), target or settings.target
    asked = (("--target", target), ("--to", to), ("--budget", budget))
    again = [word for option, values in asked for value in values for word in (option, value)]

    def ordered(progress: Progress) -> AbstractContextManager[BuildOrder | ResumeOrder]:
        if resume:
            return resume_build_order(
                folder,
                source=source,
                target=targets,
                to=to,
                budget=budget,
                options=options,
                how=how,
                settings=settings,
                time_limit_s=time_limit,
                progress=progress,
            )
        return build_order(
            source,
            out=folder,
            target=targets,
            to=to,
            budget=budget,
            options=options,
            how=how,
            settings=settings,
            train_first=train_first,
            time_limit_s=time_limit,
            force=force,
            progress=progress,
        )

    return call.perform(
        ordered,
        lambda found: call.show_report(
            found,
            files=report,
            written=(folder / REPORT_HTML,),
            resume=("edgekit", "build", source, "--out", str(folder), *again, "--resume"),
        ),
    )
