"""`edgekit profile`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.arguments import (
    artifact_option,
    launches_option,
    parts,
    path_argument,
    report_option,
    target_option,
    time_limit_option,
)
from edgekit.cli.options import Call, Command, common


@click.command(
    "profile",
    cls=Command,
    examples=[
        "edgekit profile digits-bundle --target local",
        "edgekit profile digits-bundle --target local,local/onnxruntime@threads=2",
        "edgekit profile model.tflite --launches 12 --report latency.html",
    ],
)
@path_argument
@target_option
@artifact_option
@launches_option
@time_limit_option
@report_option
@common(acts=True, chance=True)
def command(
    call: Call,
    path: Path,
    target: tuple[str, ...],
    artifact: tuple[str, ...],
    launches: int | None,
    time_limit: float | None,
    report: tuple[Path, ...],
) -> int:
    """Measure latency, load time and memory on targets.

    Several fresh processes each, interleaved in random order; raw values are kept in the report.
    """
    from edgekit.flows.profile import plan_profile, profile

    settings = call.settings(launches=launches)
    order: dict[str, Any] = {
        "target": target or settings.target,
        "artifact": parts(artifact),
        "time_limit_s": time_limit,
        "settings": settings,
    }
    if call.dry_run:
        return call.show_plan(plan_profile(path, **order))
    with call.progress() as progress:
        found = profile(path, **order, progress=progress)
    return call.show_report(found, files=report)
