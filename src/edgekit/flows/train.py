"""`edgekit train`: a reference model trained to a run directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edgekit.core.config import Settings
from edgekit.core.progress import Progress, Silent
from edgekit.core.report import Estimate
from edgekit.flows.plan import Plan
from edgekit.train.registry import MODELS


class TrainReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a training gave: the run directory, its quality on the test split, and the time it took in seconds."""

    model: str
    run: str
    metric: str
    quality: Estimate
    floor: float | None
    epochs: int
    wall_s: float
    command: str = "train"
    schema_version: int = 1


def train(
    model: str,
    *,
    out: str | Path,
    data: Path | None = None,
    resume: bool = False,
    overrides: Mapping[str, str] | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> TrainReport:
    """Train the reference model called `model` into the run directory `out`.

    Args:
        out: Run directory; an unfinished one is continued with `resume`.
        data: Folder of data sets; `settings.data` when None.
        overrides: Training options by name, as text: `{"optimizer": "adam"}`.

    Raises:
        UserError: Unknown model or option, or `out` exists.
        EnvironmentFault: The data is not there; the hint names the command.
    """
    with progress.stage("load PyTorch"):  # ten seconds on a busy machine
        reference = MODELS.get(model)
        from edgekit.train.loop import train as train_loop
        from edgekit.train.options import with_overrides

    folder = data or (Path(settings.data) if settings.data else None)
    chosen = with_overrides(reference.options, overrides or {})
    run = train_loop(reference, Path(out), chosen, data=folder, seed=settings.seed, resume=resume, progress=progress)
    quality = Estimate(run.quality.value, run.quality.low, run.quality.high, run.quality.n)
    floor = reference.spec.metric.floor if reference.spec.metric else None
    return TrainReport(
        model=model,
        run=str(out),
        metric=run.metric,
        quality=quality,
        floor=floor,
        epochs=run.epochs,
        wall_s=run.wall_s,
    )


def plan_train(
    model: str,
    *,
    out: str | Path,
    data: Path | None = None,
    resume: bool = False,
    overrides: Mapping[str, str] | None = None,
    settings: Settings = Settings(),
) -> Plan:
    """What `train` with the same arguments would do."""
    MODELS.get(model)
    source = data or settings.data or "its own data"
    changes = ", ".join(f"{name} = {value}" for name, value in (overrides or {}).items())
    begin = (
        f"continue the run '{out}'"
        if resume
        else f"train '{model}' on {source}" + (f" with {changes}" if changes else "")
    )
    return Plan("train", (begin, f"write best and last checkpoints, history and run.json to '{out}'"))
