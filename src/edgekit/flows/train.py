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
from edgekit.core.reports.report import Report
from edgekit.core.reports.train import SearchReport, TrainReport
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.opening.source import RUN_FILE
from edgekit.flows.order import door
from edgekit.flows.writing.tensorboard import on_board
from edgekit.train.registry import MODELS

if TYPE_CHECKING:
    from edgekit.train.model import ReferenceModel
    from edgekit.train.options import TrainOptions

Sampler = Literal["tpe", "grid"]
WEIGHTS: Final = "weights.safetensors"


@dataclass(frozen=True)
class Start:
    """What a training begins with: weights of something else, and which parts of them stay as they are.

    `origin` is what the user named: a bundle, a run directory, a `.safetensors` file, or a reference model with shipped
    weights; `weights` is the file that was found there. `freeze` are prefixes of parameter names.
    """

    origin: str = ""
    weights: Path | None = None
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainOrder:
    """A model, the options to train it with, and where its data is found.

    `data` is a folder of data sets; `download` fetches them instead. `overrides` are options by name, as text.
    """

    model: str
    out: Path
    data: Path | None = None
    download: bool = False
    resume: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    start: Start = Start()
    processes: int = 1
    tensorboard: Path | None = None
    settings: Settings = Settings()
    command: str = "train"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence a step."""
        return (
            *(["fetch the data set from its official address where it is not in the cache"] if self.download else []),
            *([f"take over the weights of '{self.start.origin}' that fit"] if self.start.origin else []),
            *(f"leave '{prefix}' as it is" for prefix in self.start.freeze),
            self._training(),
            f"write best and last checkpoints, history and run.json to '{self.out}'",
            *([f"write the history to '{self.tensorboard}' for TensorBoard"] if self.tensorboard else []),
        )

    def run(self, progress: Progress) -> TrainReport:
        """Train, and test the best weights."""
        with progress.stage("load PyTorch"):  # ten seconds on a busy machine
            reference = MODELS.get(self.model)
            from edgekit.train.fitting.loop import train as train_loop
        options, seed = _options(self, reference)
        folder = _folder(self, reference, progress)
        with on_board(progress, self.out, self.tensorboard) as told:
            run = train_loop(
                reference,
                self.out,
                options,
                data=folder,
                seed=seed,
                resume=self.resume,
                progress=told,
                init_from=self.start.weights,
                freeze=self.start.freeze,
                processes=self.processes,
                command=_typed(self),
            )
        return TrainReport(
            model=self.model,
            run=str(self.out),
            metric=run.metric,
            quality=run.quality,
            floor=reference.spec.metric.floor if reference.spec.metric else None,
            epochs=run.epochs,
            wall_s=run.wall_s,
            warnings=run.warnings,
        )

    def _training(self) -> str:
        source = self.data or self.settings.data or "its own data"
        changes = ", ".join(f"{name} = {value}" for name, value in self.overrides.items())
        begin = f"train '{self.model}' on {source}" + (f" with {changes}" if changes else "")
        together = f" in {self.processes} processes" if self.processes > 1 else ""
        return (f"continue the run '{self.out}'" if self.resume else begin) + together


@dataclass(frozen=True)
class SearchOrder:
    """A training, and how often to do it with other options than it has; its `out` is the folder of the search."""

    training: TrainOrder
    trials: int
    sampler: Sampler = "tpe"
    command: str = "train"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence a step."""
        each = self.training
        return (
            f"train '{each.model}' until {self.trials} trainings are finished, {each.processes} at once, "
            f"options chosen by {self.sampler}",
            f"write the journal and a run directory for each to '{each.out}'",
        )

    def run(self, progress: Progress) -> SearchReport:
        """Train as often as asked, and name the best; what the folder holds from before counts."""
        each = self.training
        with progress.stage("load PyTorch"):
            reference = MODELS.get(each.model)
            from edgekit.train.fitting.search import SPACE, search
        options, seed = _options(each, reference)
        fixed = {name.replace("-", "_") for name in each.overrides}
        found = search(
            each.model,
            each.out,
            trials=self.trials,
            sampler=self.sampler,
            options=options,
            space={name: choice for name, choice in SPACE.items() if name not in fixed},
            data=_folder(each, reference, progress),
            seed=seed,
            processes=each.processes,
            progress=progress,
            command=f"{_typed(each)} {shlex.join(['--search', str(self.trials), '--out', str(each.out)])}",
        )
        return SearchReport(
            model=each.model,
            folder=str(each.out),
            metric=found.metric,
            value=found.value,
            trials=found.trials,
            options=found.options,
            train_command=found.command,
        )


@contextmanager
def train_order(
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
) -> Iterator[TrainOrder]:
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
    origin, changes = str(init_from), overrides or {}
    _check(model, data, download, changes, settings)
    if freeze and not (origin or resume):
        raise UserError("--freeze keeps weights that a training starts from.", hint="--init-from BUNDLE --freeze conv1")
    with weights_of(origin) as weights:
        start = Start(origin, weights, tuple(freeze))
        yield TrainOrder(model, Path(out), data, download, resume, changes, start, processes, tensorboard, settings)


train = door(train_order)


@contextmanager
def search_order(
    model: str,
    trials: int,
    *,
    out: str | Path,
    sampler: Sampler = "tpe",
    data: Path | None = None,
    download: bool = False,
    overrides: Mapping[str, str] | None = None,
    processes: int = 1,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[SearchOrder]:
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
    changes = overrides or {}
    _check(model, data, download, changes, settings)
    each = TrainOrder(model, Path(out), data, download, overrides=changes, processes=processes, settings=settings)
    yield SearchOrder(each, trials, sampler)


def report_of(folder: Path) -> Report:
    """The finished run in `folder` as a report; its verdict is whether the floor was met.

    Raises:
        UserError: No run, or one that was interrupted.
    """
    from edgekit.train.training_run import read_run, training_of

    run = read_run(folder)
    metric, value = run.spec.metric, run.quality.value
    missed = metric is not None and not metric.is_met_by(value)
    verdict = Verdict.FAIL if missed else Verdict.PASS
    found = Findings(run.spec, "", (), training=training_of(folder), warnings=run.warnings)
    report = found.report("train", Settings(seed=run.seed), verdict=verdict, outcomes=())
    return msgspec.structs.replace(report, created=run.created, tools=run.tools)


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
        from edgekit.train.weights import require_weights, shipped_weights

        # A model is not asked for weights that it has: it would load PyTorch.
        yield shipped_weights(text) or require_weights(MODELS.get(text))
    elif (path / RUN_FILE).is_file():
        from edgekit.train.training_run import read_run

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


def _check(model: str, data: Path | None, download: bool, overrides: Mapping[str, str], settings: Settings) -> None:
    """What does not go together is refused before PyTorch is loaded."""
    from edgekit.train.options import TrainOptions, with_overrides

    MODELS.check(model)
    with_overrides(TrainOptions(), overrides)
    if download and data:
        raise UserError("--download fetches into the cache and --data names a folder.", hint="Leave one of them out.")
    if download and settings.offline:
        raise UserError("--download reaches for the network and --offline forbids it.", hint="Leave one of them out.")


def _options(order: TrainOrder, reference: ReferenceModel) -> tuple[TrainOptions, int]:
    """Options and seed; a training that goes on has those it was begun with, unless others are named."""
    from edgekit.train.options import with_overrides
    from edgekit.train.training_run import read_any

    seed = order.settings.seed
    if order.resume and (order.out / RUN_FILE).is_file():
        begun = read_any(order.out)
        return with_overrides(begun.options, order.overrides), seed or begun.seed
    return with_overrides(reference.options, order.overrides), seed


def _folder(order: TrainOrder, reference: ReferenceModel, progress: Progress) -> Path | None:
    """Where the data set lies, after it was fetched when that was asked for; None leaves it to the reader."""
    if not order.download:
        return order.data or (Path(order.settings.data) if order.settings.data else None)
    if not reference.dataset:
        raise UserError(f"The data of '{order.model}' needs no download.", hint=f"edgekit train {order.model}")
    from edgekit.train.data.fetch import download

    with progress.stage(f"fetch {reference.dataset}"):
        return download(reference.dataset, progress=progress)


def _typed(order: TrainOrder) -> str:
    """The training as a command, without its folders: they mean nothing on another machine."""
    words = ["edgekit", "train", order.model]
    for name, value in order.overrides.items():
        words += ["--set", f"{name}={value}"]
    words += ["--init-from", order.start.origin] if order.start.origin else []
    for prefix in order.start.freeze:
        words += ["--freeze", prefix]
    words += ["--processes", str(order.processes)] if order.processes > 1 else []
    words += ["--seed", str(order.settings.seed)] if order.settings.seed else []
    return shlex.join(words)
