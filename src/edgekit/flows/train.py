"""`edgekit train`: a reference model trained to a run directory, or a search for the options to train it with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edgekit.core.bundle import MANIFEST, SUFFIX, Bundle
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Estimate, Report
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.source import RUN_FILE
from edgekit.flows.order import Plan
from edgekit.flows.writing.tensorboard import on_board
from edgekit.train.registry import MODELS

if TYPE_CHECKING:
    from edgekit.train.model import ReferenceModel
    from edgekit.train.options import TrainOptions

WEIGHTS: Final = "weights.safetensors"


class TrainReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a training gave: the run directory, its quality on the test split, and the time it took in seconds."""

    model: str
    run: str
    metric: str
    quality: Estimate
    floor: float | None
    epochs: int
    wall_s: float
    warnings: tuple[str, ...] = ()
    command: str = "train"
    schema_version: int = 1


class SearchReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best of `trials` finished trainings by their validation score, and the command that trains with it."""

    model: str
    folder: str
    metric: str
    value: float
    trials: int
    options: dict[str, str]
    train_command: str
    command: str = "train"
    schema_version: int = 1


@dataclass(frozen=True)
class Start:
    """What a training begins with: weights of something else, and which parts of them stay as they are.

    `weights` is a bundle, a run directory, a `.safetensors` file, or a reference model with shipped weights;
    `freeze` are prefixes of parameter names.
    """

    weights: str = ""
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainOrder:
    """What was asked for, as it was typed. `data` is a folder of data sets; `download` fetches them instead."""

    model: str
    out: Path
    data: Path | None = None
    download: bool = False
    resume: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    start: Start = Start()
    processes: int = 1


def train(
    model: str,
    *,
    out: str | Path,
    data: Path | None = None,
    download: bool = False,
    resume: bool = False,
    overrides: Mapping[str, str] | None = None,
    init_from: str | Path = "",
    freeze: Sequence[str] = (),
    processes: int = 1,
    tensorboard: Path | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> TrainReport:
    """Train the reference model called `model` into the run directory `out`.

    Args:
        out: Run directory; an unfinished one is continued with `resume`, with the options it was begun with.
        data: Folder of data sets; `settings.data` when None.
        download: Fetch the data set from its official address into the cache, where it is not there yet.
        overrides: Training options by name, as text: `{"optimizer": "adam"}`.
        init_from: Weights to start from: a bundle, a run directory, a `.safetensors` file or a reference model.
        freeze: Prefixes of parameters that are not trained.
        processes: How many train together; the batch size counts the samples of all.
        tensorboard: Folder that the history is written to for TensorBoard, too.

    Raises:
        UserError: Unknown model or option, or `out` exists.
        EnvironmentFault: The data is not there; the hint names the command.
    """
    order = TrainOrder(
        model, Path(out), data, download, resume, overrides or {}, Start(str(init_from), tuple(freeze)), processes
    )
    _check_order(order, settings)
    with progress.stage("load PyTorch"):  # ten seconds on a busy machine
        reference = MODELS.get(model)
        from edgekit.train.fitting.loop import train as train_loop
    options, seed = _options(order, reference, settings)
    folder = _folder(order, reference, settings, progress)
    with weights_of(order.start.weights) as weights, on_board(progress, order.out, tensorboard) as told:
        run = train_loop(
            reference,
            order.out,
            options,
            data=folder,
            seed=seed,
            resume=resume,
            progress=told,
            init_from=weights,
            freeze=order.start.freeze,
            processes=processes,
            command=_typed(order, settings),
        )
    return TrainReport(
        model=model,
        run=str(out),
        metric=run.metric,
        quality=run.quality,
        floor=reference.spec.metric.floor if reference.spec.metric else None,
        epochs=run.epochs,
        wall_s=run.wall_s,
        warnings=run.warnings,
    )


def report_of(folder: Path) -> Report:
    """The finished run in `folder` as a report; its verdict is whether the floor was met.

    Raises:
        UserError: No run, or one that was interrupted.
    """
    from edgekit.train.run import read_run, training_of

    run = read_run(folder)
    metric, value = run.spec.metric, run.quality.value
    missed = metric is not None and not metric.is_met_by(value)
    return Report(
        command="train",
        created=run.created,
        spec=run.spec,
        training=training_of(folder),
        tools=run.tools,
        warnings=run.warnings,
        verdict=Verdict.FAIL if missed else Verdict.PASS,
        seed=run.seed,
    )


def plan_train(
    model: str,
    *,
    out: str | Path,
    data: Path | None = None,
    download: bool = False,
    resume: bool = False,
    overrides: Mapping[str, str] | None = None,
    init_from: str | Path = "",
    freeze: Sequence[str] = (),
    processes: int = 1,
    tensorboard: Path | None = None,
    settings: Settings = Settings(),
) -> Plan:
    """What `train` with the same arguments would do."""
    start = Start(str(init_from), tuple(freeze))
    order = TrainOrder(model, Path(out), data, download, resume, overrides or {}, start, processes)
    _check_order(order, settings)
    source = order.data or settings.data or "its own data"
    changes = ", ".join(f"{name} = {value}" for name, value in order.overrides.items())
    begin = (
        f"continue the run '{out}'"
        if resume
        else f"train '{model}' on {source}" + (f" with {changes}" if changes else "")
    )
    steps = [
        *(["fetch the data set from its official address where it is not in the cache"] if download else []),
        *([f"take over the weights of '{init_from}' that fit"] if init_from else []),
        *([f"leave '{prefix}' as it is" for prefix in freeze]),
        begin + (f" in {processes} processes" if processes > 1 else ""),
        f"write best and last checkpoints, history and run.json to '{out}'",
        *([f"write the history to '{tensorboard}' for TensorBoard"] if tensorboard else []),
    ]
    return Plan("train", tuple(steps))


def search(
    model: str,
    trials: int,
    *,
    out: str | Path,
    sampler: Literal["tpe", "grid"] = "tpe",
    data: Path | None = None,
    download: bool = False,
    overrides: Mapping[str, str] | None = None,
    processes: int = 1,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> SearchReport:
    """Train `trials` times with different options, and tell the best; what `out` holds from before counts.

    Args:
        out: Folder of the search: its journal, and a run directory for every trial.
        sampler: `tpe` learns from the trials before, `grid` walks through fixed values.
        overrides: Training options that are not searched for.
        processes: How many trainings run at once.

    Raises:
        UserError: Unknown model, option or sampler.
        EnvironmentFault: The data or a package is not there.
    """
    order = TrainOrder(model, Path(out), data, download, overrides=overrides or {}, processes=processes)
    _check_order(order, settings)
    with progress.stage("load PyTorch"):
        reference = MODELS.get(model)
        from edgekit.train.fitting.search import SPACE
        from edgekit.train.fitting.search import search as search_options
    options, seed = _options(order, reference, settings)
    found = search_options(
        model,
        order.out,
        trials=trials,
        sampler=sampler,
        options=options,
        space={name: choice for name, choice in SPACE.items() if name not in _names(order.overrides)},
        data=_folder(order, reference, settings, progress),
        seed=seed,
        processes=processes,
        progress=progress,
        command=shlex.join([*shlex.split(_typed(order, settings)), "--search", str(trials), "--out", str(out)]),
    )
    return SearchReport(
        model=model,
        folder=str(out),
        metric=found.metric,
        value=found.value,
        trials=found.trials,
        options=found.options,
        train_command=found.command,
    )


def plan_search(
    model: str,
    trials: int,
    *,
    out: str | Path,
    sampler: Literal["tpe", "grid"] = "tpe",
    data: Path | None = None,
    download: bool = False,
    overrides: Mapping[str, str] | None = None,
    processes: int = 1,
    settings: Settings = Settings(),
) -> Plan:
    """What `search` with the same arguments would do."""
    order = TrainOrder(model, Path(out), data, download, overrides=overrides or {}, processes=processes)
    _check_order(order, settings)
    return Plan(
        "train",
        (
            f"train '{model}' until {trials} trainings are finished, {processes} at once, options chosen by {sampler}",
            f"write the journal and a run directory for each to '{out}'",
        ),
    )


def is_told() -> bool:
    """False in all but the first of the processes that `torchrun` started: one result is printed."""
    from edgekit.train.fitting.distributed import leads

    return leads()


@contextmanager
def weights_of(text: str) -> Iterator[Path | None]:
    """The weights file that a user named by a bundle, a run directory, a file or a reference model; None for nothing.

    Raises:
        UserError: It is none of them, or holds no weights.
    """
    path = Path(text)
    if not text:
        yield None
    elif text in MODELS:
        from edgekit.train.weights import require_weights

        yield require_weights(MODELS.get(text))
    elif (path / RUN_FILE).is_file():
        from edgekit.train.run import read_run

        yield path / read_run(path).weights
    elif path.suffix == ".safetensors" and path.is_file():
        yield path
    elif (path / MANIFEST).is_file() or (path.suffix == SUFFIX and path.is_file()):
        with Bundle.open(path) as bundle:
            if WEIGHTS not in bundle.manifest.files:
                raise UserError(f"The bundle '{text}' holds no weights.", hint="edgekit export SOURCE --out BUNDLE")
            yield bundle.root / WEIGHTS
    else:
        hint = "--init-from BUNDLE, a run directory, a .safetensors file, or a model of 'edgekit list models'"
        raise UserError(f"'{text}' holds no weights to start from.", hint=hint)


def _check_order(order: TrainOrder, settings: Settings) -> None:
    """What does not go together is told before PyTorch is loaded."""
    from edgekit.train.options import TrainOptions, with_overrides

    MODELS.check(order.model)
    with_overrides(TrainOptions(), order.overrides)
    if order.download and order.data:
        raise UserError("--download fetches into the cache and --data names a folder.", hint="Leave one of them out.")
    if order.download and settings.offline:
        raise UserError("--download reaches for the network and --offline forbids it.", hint="Leave one of them out.")
    if order.start.freeze and not (order.start.weights or order.resume):
        raise UserError("--freeze keeps weights that a training starts from.", hint="--init-from BUNDLE --freeze conv1")


def _options(order: TrainOrder, reference: ReferenceModel, settings: Settings) -> tuple[TrainOptions, int]:
    """Options and seed; a training that goes on has those it was begun with, unless others are named."""
    from edgekit.train.options import with_overrides
    from edgekit.train.run import read_any

    if order.resume and (order.out / RUN_FILE).is_file():
        begun = read_any(order.out)
        return with_overrides(begun.options, order.overrides), settings.seed or begun.seed
    return with_overrides(reference.options, order.overrides), settings.seed


def _folder(order: TrainOrder, reference: ReferenceModel, settings: Settings, progress: Progress) -> Path | None:
    """Where the data set lies, after it was fetched when that was asked for; None leaves it to the reader."""
    if not order.download:
        return order.data or (Path(settings.data) if settings.data else None)
    if not reference.dataset:
        raise UserError(f"The data of '{order.model}' needs no download.", hint=f"edgekit train {order.model}")
    from edgekit.train.data.fetch import download

    with progress.stage(f"fetch {reference.dataset}"):
        return download(reference.dataset, progress=progress)


def _names(overrides: Mapping[str, str]) -> set[str]:
    return {name.replace("-", "_") for name in overrides}


def _typed(order: TrainOrder, settings: Settings) -> str:
    """The training as a command, without its folders: they mean nothing on another machine."""
    words = ["edgekit", "train", order.model]
    for name, value in order.overrides.items():
        words += ["--set", f"{name}={value}"]
    words += ["--init-from", order.start.weights] if order.start.weights else []
    for prefix in order.start.freeze:
        words += ["--freeze", prefix]
    words += ["--processes", str(order.processes)] if order.processes > 1 else []
    words += ["--seed", str(settings.seed)] if settings.seed else []
    return shlex.join(words)
