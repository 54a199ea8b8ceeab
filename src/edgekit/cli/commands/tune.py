"""`edgekit tune`."""

from __future__ import annotations

from collections.abc import Iterator
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
)
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import targets
from edgekit.cli.output import columns
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.tuning import Candidate, TuneReport


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
@common(acts=True, chance=True)
def command(
    call: Call,
    path: Path,
    target: str | None,
    artifact: tuple[str, ...],
    max_drop: float,
    time_limit: float,
    sizes: tuple[str, ...],
) -> int | None:
    """Find the best artifact, threads and options for a target.

    Measures candidates in rounds; only the faster ones reach the next round. Saves the choice in NAME.tuning.json next
    to the bundle, where 'run' and edgekit.load find it on the same kind of device.
    """
    from edgekit.flows.tune import tune_order

    settings = call.settings()
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
        lambda found: call.answer(found, lambda: "\n".join(_text(found))),
    )


def _text(found: TuneReport) -> Iterator[str]:
    yield f"edgekit tune  {found.bundle} on {found.target} ({found.device})"
    yield ""
    shown = [one for one in found.candidates if one.is_efficient or one.is_tied]
    yield columns(
        [("artifact", "options", "p50", "runs", "memory", "size", "loss", ""), *(_row(one, found) for one in shown)]
    )
    yield ""
    equal = [one for one in shown if one.is_tied]
    if len(equal) > 1:
        yield f"{len(equal)} candidates are tied: the measurement cannot distinguish them. The one with the fewest"
        yield "threads, then the smallest file, is chosen."
    yield from found.warnings
    yield f"{found.launches} launches; a full measurement of every candidate takes {found.exhaustive}."
    yield f"Chosen: {found.chosen.artifact} as {found.target.split('/')[0].split('@')[0]}{found.chosen.target}"
    yield f"Saved in {found.file}"


def _row(one: Candidate, found: TuneReport) -> tuple[str, ...]:
    marks = ["chosen"] * (one == found.chosen) + ["tied"] * (one.is_tied and one != found.chosen)
    loss = format_value(one.drop, "points") if one.drop is not None else format_value(one.sqnr_db, "dB")
    options = " ".join(f"{name}={value}" for name, value in sorted(one.options.items()))
    return (
        one.artifact,
        options,
        format_value(one.latency.value, "s"),
        str(one.launches),
        format_value(one.memory.value, "bytes"),
        format_value(one.size_bytes, "bytes"),
        loss,
        ", ".join(marks),
    )
