"""Searches the best training options of a model, with Optuna on a journal file shared by several processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edgekit.core.errors import EdgekitError, Interrupted, UserError
from edgekit.core.system.optional import need
from edgekit.core.system.processes import away_from_here
from edgekit.core.system.progress import Progress, Silent
from edgekit.train.data.dataset import Dataset, hold_back
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions, with_overrides
from edgekit.train.registry import MODELS

JOURNAL: Final = "search.journal"
HELD_BACK: Final = 0.15
_LOOK_S: Final = 0.2
Sampler = Literal["tpe", "grid"]


class OptionSpace(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The possible values of one option: a range (on a log scale if it is wide), and the values of a grid."""

    values: tuple[float | int | str, ...]
    low: float | None = None
    high: float | None = None


SPACE: Final[Mapping[str, OptionSpace]] = {
    "learning_rate": OptionSpace((3e-4, 1e-3, 3e-3), 1e-4, 1e-2),
    "weight_decay": OptionSpace((1e-3, 1e-2, 1e-1), 1e-4, 0.3),
    "batch_size": OptionSpace((32, 64, 128)),
    "optimizer": OptionSpace(("momentum", "adam", "adamw")),
    "schedule": OptionSpace(("cosine", "one-cycle")),
}


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best of `trials` finished trainings by validation score, and the command to train with its options."""

    model: str
    metric: str
    value: float
    options: dict[str, str]
    trials: int
    command: str
    schema_version: int = 1


def search(
    name: str,
    out: Path,
    *,
    trials: int,
    sampler: Sampler = "tpe",
    options: TrainOptions | None = None,
    space: Mapping[str, OptionSpace] = SPACE,
    data: Path | None = None,
    seed: int = 0,
    processes: int = 1,
    progress: Progress | None = None,
    command: str = "",
) -> Found:
    """Train `trials` times in total with different options; trials that an earlier call finished in `out` count.

    The test split is not used: trials are compared on the validation split, or on a part of the training split.

    Args:
        options: The base options of every trial; options in `space` replace them.
        processes: Number of trainings that run at once.
        command: The command of this search.

    Raises:
        UserError: The model or sampler is unknown, or the folder contains a search for a different model.
        Interrupted: Ctrl-C; the same command resumes.
    """
    model: ReferenceModel = MODELS.get(name)
    base = options or model.options
    shown = progress or Silent()
    out.mkdir(parents=True, exist_ok=True)
    _check_same(name, _study(out, sampler, space, seed, create=True), out)
    with shown.stage("read data"):
        dataset = _with_validation(model.data(data))
    work = partial(_work, name, dataset, out, trials, sampler, base, dict(space))
    with shown.stage(f"search {name}"):
        try:
            _spread(work, seed, processes, shown)
        except (KeyboardInterrupt, Interrupted) as err:
            raise Interrupted(f"The search for '{name}' was stopped.", hint=command) from err
    return _found(model, base, _study(out, sampler, space, seed), out, data)


def _check_same(name: str, study: Any, out: Path) -> None:
    """A journal belongs to one model for good."""
    begun = study.user_attrs.get("model", name)
    if begun != name:
        raise UserError(f"'{out}' contains a search for '{begun}'.", hint=f"--out runs/{name}-search")
    study.set_user_attr("model", name)


@away_from_here()
def _spread(work: Any, seed: int, processes: int, shown: Progress) -> None:
    if processes == 1:
        work(shown.step, seed)
        return
    # Not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    heard = context.Queue()
    workers = [context.Process(target=_apart, args=(work, heard, seed + number)) for number in range(processes)]
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            with contextlib.suppress(queue.Empty):
                _hear(heard.get(timeout=_LOOK_S), shown)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
        heard.close()
    codes = [worker.exitcode or 0 for worker in workers]
    if any(codes):
        raise EdgekitError(f"A process of the search exited with {max(codes, key=abs)}.")


def _hear(said: EdgekitError | tuple[int, int, str], shown: Progress) -> None:
    if isinstance(said, EdgekitError):
        raise said
    shown.step(*said)


def _apart(work: Any, heard: Any, seed: int) -> None:
    """One process of several. Ctrl-C reaches each of them; the one that started them says so."""
    with contextlib.suppress(KeyboardInterrupt):
        try:
            work(lambda *step: heard.put(step), seed)
        except EdgekitError as err:
            heard.put(err)


def _work(
    name: str,
    dataset: Dataset,
    out: Path,
    trials: int,
    sampler: Sampler,
    base: TrainOptions,
    space: Mapping[str, OptionSpace],
    tell: Callable[[int, int, str], None],
    seed: int,
) -> None:
    """One process: trains until all processes together have finished `trials` trainings."""
    optuna = need("optuna", extra="train")
    model: ReferenceModel = MODELS.get(name)
    study = _study(out, sampler, space, seed)
    done = optuna.trial.TrialState.COMPLETE

    def count(study: Any, trial: Any) -> None:
        finished = [one for one in study.trials if one.state == done]
        tell(len(finished), trials, f"best {_best(model, finished).value:.4f}" if finished else "")

    if sum(trial.state == done for trial in study.trials) >= trials:
        return
    enough = optuna.study.MaxTrialsCallback(trials, states=(done,))
    callbacks = [count, enough]
    study.optimize(partial(_trial, model, dataset, base, space, sampler, out), n_trials=trials, callbacks=callbacks)


def _trial(
    model: ReferenceModel,
    dataset: Dataset,
    base: TrainOptions,
    space: Mapping[str, OptionSpace],
    sampler: Sampler,
    out: Path,
    trial: Any,
) -> float:
    from edgekit.train.fitting.loop import train
    from edgekit.train.training_run import read_history

    chosen = {name: str(_suggested(trial, name, choice, sampler)) for name, choice in space.items()}
    trial.set_user_attr("options", chosen)
    folder = out / f"trial-{trial.number}"
    run = train(replace(model, data=lambda _: dataset), folder, with_overrides(base, chosen), seed=trial.number)
    scores = [line.metric for line in read_history(folder) if line.metric is not None]
    if not scores:  # the data set is exhaustive: its test split is its training split
        return float(run.quality.value or 0.0)
    return max(scores) if _higher(model) else min(scores)


def _suggested(trial: Any, name: str, choice: OptionSpace, sampler: Sampler) -> Any:
    if choice.low is None or choice.high is None or sampler == "grid":
        return trial.suggest_categorical(name, list(choice.values))
    return trial.suggest_float(name, choice.low, choice.high, log=choice.high > 10 * choice.low > 0)


def _study(out: Path, sampler: str, space: Mapping[str, OptionSpace], seed: int, *, create: bool = False) -> Any:
    optuna = need("optuna", extra="train")
    from edgekit.train.fitting.search_journal import SearchJournal

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(SearchJournal(out / JOURNAL))
    if sampler not in ("tpe", "grid"):
        raise UserError(f"Unknown sampler '{sampler}'.", hint="--sampler tpe, or --sampler grid")
    grid = {name: list(choice.values) for name, choice in space.items()}
    chooser = optuna.samplers.GridSampler(grid, seed) if sampler == "grid" else optuna.samplers.TPESampler(seed=seed)
    if not create:
        return optuna.load_study(study_name="edgekit", storage=storage, sampler=chooser)
    return optuna.create_study(study_name="edgekit", storage=storage, sampler=chooser, load_if_exists=True)


def _with_validation(found: Dataset) -> Dataset:
    if found.validation is not None or found.exhaustive:
        return found
    rest, held = hold_back(found.train, HELD_BACK)
    return replace(found, train=rest, validation=held)


def _found(model: ReferenceModel, base: TrainOptions, study: Any, out: Path, data: Path | None) -> Found:
    finished = [trial for trial in study.trials if trial.value is not None]
    if not finished:
        raise UserError(f"No trial in '{out}' has finished.")
    best = _best(model, finished)
    options: dict[str, str] = best.user_attrs["options"]
    words = ["edgekit", "train", model.spec.name, "--out", f"runs/{model.spec.name}"]
    words += ["--data", str(data)] if data else []
    for name, value in (_changed(model.options, base) | options).items():
        words += ["--set", f"{name}={value}"]
    metric = model.spec.metric.name if model.spec.metric else ""
    return Found(
        model=model.spec.name,
        metric=metric,
        value=best.value,
        options=options,
        trials=len(finished),
        command=shlex.join(words),
    )


def _changed(usual: TrainOptions, base: TrainOptions) -> dict[str, str]:
    """What every trial has that the model's own options do not."""
    return {
        name: str(getattr(base, name))
        for name in TrainOptions.__struct_fields__
        if getattr(base, name) != getattr(usual, name)
    }


def _best(model: ReferenceModel, finished: list[Any]) -> Any:
    return (max if _higher(model) else min)(finished, key=lambda trial: trial.value)


def _higher(model: ReferenceModel) -> bool:
    return model.spec.metric is None or model.spec.metric.higher_is_better
