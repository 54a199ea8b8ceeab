"""`edgekit profile`."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.arguments import (
    Duration,
    Sizes,
    artifact_option,
    axis_sizes_option,
    launches_option,
    parts,
    path_argument,
    precision_option,
    report_option,
    state_option,
    target_option,
    time_limit_option,
    wait_option,
)
from edgekit.cli.common import Call, Command, common


@click.command(
    "profile",
    cls=Command,
    examples=[
        "edgekit profile digits-bundle --target local",
        "edgekit profile digits-bundle --target local,local/onnxruntime@threads=2",
        "edgekit profile model.tflite --precision 1% --report latency.html",
        "edgekit profile digits-bundle --batch 1,8,32 --operators",
        "edgekit profile digits-bundle --end-to-end --input photo.png",
    ],
)
@path_argument
@target_option
@artifact_option
@launches_option
@time_limit_option
@precision_option
@click.option(
    "--time-box",
    type=Duration(),
    default="60s",
    show_default=True,
    metavar="TIME",
    help="With --precision: start no more launches after this time.",
)
@click.option(
    "--batch",
    type=Sizes(),
    default="1",
    show_default=True,
    metavar="SIZES",
    help="Batch sizes to measure, e.g. 1,8,32.",
)
@click.option("--operators", is_flag=True, help="Also time each operator, where the backend supports it.")
@click.option(
    "--sustain",
    type=Duration(),
    metavar="TIME",
    help="Afterwards keep each artifact under load for TIME, e.g. 10min, to detect throttling.",
)
@click.option(
    "--end-to-end",
    is_flag=True,
    help="Also time whole calls, from a file to a prediction: preprocessing, inference, postprocessing and their sum.",
)
@axis_sizes_option
@click.option(
    "--input",
    multiple=True,
    metavar="FILE|NAME=VALUE",
    help="Value of an input of a bare file, e.g. sr=16000. Repeatable. With --end-to-end: the file to begin with.  "
    "[default: the first sample]",
)
@state_option
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="REPORT",
    help="A report (.json) that is incomplete: measure only what it misses.",
)
@wait_option
@report_option
@common(acts=True, chance=True, records=True)
def command(
    call: Call,
    path: Path,
    target: tuple[str, ...],
    artifact: tuple[str, ...],
    launches: int | None,
    time_limit: float | None,
    precision: float | None,
    time_box: float,
    batch: tuple[int, ...],
    operators: bool,
    sustain: float | None,
    end_to_end: bool,
    sizes: tuple[str, ...],
    input: tuple[str, ...],
    state: tuple[str, ...],
    resume: Path | None,
    wait: float | None,
    report: tuple[Path, ...],
) -> int:
    """Measure latency, load time and memory on targets.

    Launches several fresh processes per artifact and target, interleaved in random order. The report keeps all raw
    values.
    """
    from edgekit.flows.profile import profile_order

    settings = call.settings(launches=launches, wait_s=wait)
    return call.perform(
        lambda progress: profile_order(
            path,
            target=target or settings.target,
            artifact=parts(artifact),
            time_limit_s=time_limit,
            precision=precision,
            time_box_s=time_box,
            batch=batch,
            operators=operators,
            sustain_s=sustain,
            end_to_end=end_to_end,
            sizes=sizes,
            input=input,
            state=state,
            resume=resume,
            settings=settings,
            progress=progress,
        ),
        lambda found: call.show_report(found, files=report),
    )
