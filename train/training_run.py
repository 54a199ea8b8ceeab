"""TrainingRun: the record of one training, stored in its folder as run.json."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.errors import Unreadable, UserError
from edgekit.core.reports.report import Epoch, Estimate, Training
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system import documents
from edgekit.core.system.files import read_bytes, sha256_file
from edgekit.core.system.native.types import prepared
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions
from edgekit.train.registry import MODELS
from edgekit.train.score import Score

# 1: first version. 2: the option `qat`.
RUN_SCHEMA: Final = 2
RUN_FILE: Final = "run.json"
HISTORY: Final = "history.jsonl"


class DataFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model was trained on: name, sha256 over all splits, licence, and the number of samples per split."""

    source: str
    digest: str
    licence: str
    train: int
    validation: int
    test: int


class TrainingRun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One training. `spec` includes what was learnt from the data, e.g. a vocabulary.

    `score` is the score of the kept weights on the test split, null until the training is `finished`. `attempts`
    counts the starts from new random weights. `wall_s` are the seconds of training over all attempts and resumptions,
    `cpu_s` the CPU seconds of the first process, which do not depend on other work on the machine. `init_from` is the
    sha256 of the weights it started from.
    """

    model: str
    spec: ModelSpec
    options: TrainOptions
    seed: int
    data: DataFacts
    created: str
    command: str = ""
    tools: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    processes: int = 1
    init_from: str = ""
    freeze: tuple[str, ...] = ()
    finished: bool = False
    score: Score | None = None
    epochs: int = 0
    attempts: int = 1
    wall_s: float = 0.0
    cpu_s: float | None = None
    peak_memory_bytes: int = 0
    weights: str = "best.safetensors"
    weights_sha256: str = ""
    history: str = HISTORY
    schema_version: int = RUN_SCHEMA

    @property
    def metric(self) -> str:
        """Name of the headline metric."""
        return self.score.metric if self.score else ""

    @property
    def quality(self) -> Estimate:
        """The headline metric on the test split with its 95 % interval."""
        return self.score.estimate if self.score else Estimate(None, reason="the training is not finished")


def read_run(path: Path) -> TrainingRun:
    """The finished run in a folder or `run.json`.

    Raises:
        UserError: There is no run, or it was interrupted; the hint is the command that resumes it.
        Unreadable: run.json is damaged, or the checksum of the weights does not match.
    """
    folder = path.parent if path.name == RUN_FILE else path
    run = read_any(folder)
    if not run.finished:
        raise UserError(
            f"The training in '{folder}' was interrupted after {run.epochs} of {run.options.epochs} epochs.",
            hint=resume_command(run, folder),
        )
    weights = folder / run.weights
    if not weights.is_file() or sha256_file(weights) != run.weights_sha256:
        raise Unreadable(f"'{weights}' is missing or was modified after the training.")
    return run


def trained_model(run: TrainingRun) -> ReferenceModel:
    """The reference model of a run, with the network that takes its weights."""
    model: ReferenceModel = MODELS.get(run.model)
    if not run.options.qat:
        return model
    from edgekit.train.qat.learned_form import learned

    return learned(model)


def resume_command(run: TrainingRun, folder: Path, data: Path | None = None) -> str:
    """The command that resumes the training in `folder`."""
    more = ["--out", str(folder), *(["--data", str(data)] if data else []), "--resume"]
    return f"{run.command or f'edgekit train {run.model}'} {shlex.join(more)}"


def read_any(folder: Path) -> TrainingRun:
    """The run in `folder`, finished or not."""
    if not (folder / RUN_FILE).is_file():
        raise UserError(f"'{folder}' is not a run: it has no {RUN_FILE}.", hint="edgekit train MODEL --out DIR")
    return documents.read(folder / RUN_FILE, TrainingRun, newest=RUN_SCHEMA)


def read_history(folder: Path) -> tuple[Epoch, ...]:
    """Every finished epoch in order; a truncated last line is left out."""
    path = folder / HISTORY
    if not path.is_file():
        return ()
    lines = read_bytes(path, Unreadable).split(b"\n")[:-1]
    try:
        return tuple(msgspec.json.decode(line, type=prepared(Epoch)) for line in lines)
    except documents.BROKEN_JSON as err:
        raise Unreadable(f"'{path}' is damaged: {err}.") from err


def training_of(folder: Path) -> Training:
    """What a report shows of the run in `folder`."""
    run = read_any(folder)
    return Training(
        metric=run.metric,
        quality=run.quality,
        floor=run.spec.metric.floor if run.spec.metric else None,
        epochs=read_history(folder),
        command=run.command or f"edgekit train {run.model}",
        data=run.data.source,
        seed=run.seed,
        wall_s=run.wall_s,
    )


def history_lines(epochs: Iterable[Epoch]) -> bytes:
    """The content of history.jsonl."""
    return b"".join(msgspec.json.encode(epoch) + b"\n" for epoch in epochs)


def peak_memory_bytes() -> int:
    """The peak resident memory of this process so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def tool_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of the packages used by a training."""
    from importlib.metadata import version

    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}
