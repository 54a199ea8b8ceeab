"""`edgekit train`: training of a reference model into a run directory, or a search for training options."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edgekit.core.bundle import MANIFEST, SUFFIX
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Report
from edgekit.core.reports.train import SearchReport, TrainReport
from edgekit.core.system.optional import need
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.opening.artifacts import opened_bundle
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
    """What training starts from: existing weights, and which parameters are frozen.

    `origin` is a bundle, a run directory, a `.safetensors` file, or a reference model with shipped weights; `weights`
    is the file found there. `freeze` are prefixes of parameter names.
    """

    origin: str = ""
    weights: Path | None = None
    freeze: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainOrder:
    """A model, its training options, and where its data is.

    `data` is a folder of data sets; `download` gets the data set instead. `overrides` are options by name, as text.
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
        """What `run` would do, one sentence per step."""
        return (
            *(["download the data set from its official address, unless it is cached"] if self.download else []),
            *([f"start from the matching weights of '{self.start.origin}'"] if self.start.origin else []),
            *(f"freeze '{prefix}'" for prefix in self.start.freeze),
            self._training(),
            f"write the best and last checkpoints, the history and run.json to '{self.out}'",
            *([f"write the history to '{self.tensorboard}' for TensorBoard"] if self.tensorboard else []),
        )

    def run(self, progress: Progress) -> TrainReport:
        """Train, and test the best weights."""
        with progress.stage("load PyTorch"):  # ten seconds on a busy machine
            need("lightning_fabric", extra="train")
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
    """A training, and how often to repeat it with different options; its `out` is the folder of the search."""

    training: TrainOrder
    trials: int
    sampler: Sampler = "tpe"
    command: str = "train"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per step."""
        each = self.training
        return (
            f"train '{each.model}' {self.trials} times, {each.processes} in parallel, "
            f"with options chosen by {self.sampler}",
            f"write the journal and one run directory per training to '{each.out}'",
        )

    def run(self, progress: Progress) -> SearchReport:
        """Train `trials` times and return the best; trainings from earlier searches in the folder count."""
        each = self.training
        with progress.stage("load PyTorch"):
            need("lightning_fabric", extra="train")
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
        out: Run directory; `resume` continues an unfinished one with its original options.
        data: Folder of data sets; `settings.data` if None.
        download: Download the data set from its official address into the cache, unless it is there.
        overrides: Training options by name, as text: `{"optimizer": "adam"}`.
        init_from: Initial weights: a bundle, a run directory, a `.safetensors` file or a reference model.
        freeze: Prefixes of parameters that are not trained.
        processes: How many processes share every batch; the batch size is the total.
        tensorboard: Folder for a TensorBoard log of the training history.

    Raises:
        UserError: Unknown model or option, or `out` exists.
        EnvironmentFault: The data is missing; the hint is the command that gets it.
    """
    origin, changes = str(init_from), overrides or {}
    _check(model, data, download, changes, settings)
    if freeze and not (origin or resume):
        raise UserError("--freeze needs weights to start from.", hint="--init-from BUNDLE --freeze conv1")
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
) -> Iterator[SearchOrder]:
    """Train `trials` times with different options and return the best; earlier trainings in `out` count.

    Args:
        out: Folder of the search: its journal, and a run directory for every trial.
        sampler: `tpe` learns from earlier trainings, `grid` tries fixed values.
        overrides: Training options that are fixed, not searched.
        processes: How many trainings run in parallel.

    Raises:
        UserError: Unknown model, option or sampler.
        EnvironmentFault: The data or a package is missing.
    """
    changes = overrides or {}
    _check(model, data, download, changes, settings)
    each = TrainOrder(model, Path(out), data, download, overrides=changes, processes=processes, settings=settings)
    yield SearchOrder(each, trials, sampler)


def report_of(folder: Path) -> Report:
    """The finished run in `folder` as a report; its verdict is whether the floor was met.

    Raises:
        UserError: Not a run directory, or an unfinished one.
    """
    from edgekit.train.training_run import read_run, training_of

    run = read_run(folder)
    metric, value = run.spec.metric, run.quality.value
    missed = metric is not None and not metric.is_met_by(value)
    verdict = Verdict.FAIL if missed else Verdict.PASS
    found = Findings(run.spec, "", (), training=training_of(folder), warnings=run.warnings)
    report = found.report("train", Settings(seed=run.seed), verdict=verdict, outcomes=())
    return msgspec.structs.replace(report, created=run.created, tools=run.tools)


def is_leader() -> bool:
    """True in the first of the processes that `torchrun` started, which prints the result."""
    from edgekit.train.fitting.distributed import leads

    return leads()


@contextmanager
def weights_of(text: str) -> Iterator[Path | None]:
    """The weights of a bundle, a run directory, a file or a reference model; None for an empty text.

    Raises:
        UserError: It is none of these, or has no weights.
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
        with opened_bundle(path) as bundle:
            if WEIGHTS not in bundle.manifest.files:
                raise UserError(f"The bundle '{text}' contains no weights.", hint="edgekit export SOURCE --out BUNDLE")
            yield bundle.root / WEIGHTS
    else:
        hint = "--init-from BUNDLE, a run directory, a .safetensors file, or a model of 'edgekit list models'"
        raise UserError(f"'{text}' contains no weights to start from.", hint=hint)


def _check(model: str, data: Path | None, download: bool, overrides: Mapping[str, str], settings: Settings) -> None:
    """What does not go together is refused before PyTorch is loaded."""
    from edgekit.train.options import TrainOptions, with_overrides

    MODELS.check(model)
    with_overrides(TrainOptions(), overrides)
    if download and data:
        raise UserError("--download and --data cannot be combined.", hint="Omit one of them.")
    if download and settings.offline:
        raise UserError("--download needs the network, which --offline forbids.", hint="Omit one of them.")


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
        raise UserError(
            f"'{order.model}' needs no download: its data is included.", hint=f"edgekit train {order.model}"
        )
    from edgekit.train.data.fetch import download

    with progress.stage(f"download {reference.dataset}"):
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
