"""Search: the best training options of a model, by Optuna on a journal file that several processes share."""

from __future__ import annotations

import multiprocessing
import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from edgekit.core.errors import Interrupted, UserError
from edgekit.core.need import need
from edgekit.core.progress import Progress, Silent
from edgekit.train.data.dataset import Dataset, hold_back
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions, with_overrides
from edgekit.train.registry import MODELS

JOURNAL: Final = "search.journal"
HELD_BACK: Final = 0.15
Sampler = Literal["tpe", "grid"]


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one option may be: a range (on a log scale where its ends lie far apart), and the values of a grid."""

    values: tuple[float | int | str, ...]
    low: float | None = None
    high: float | None = None


SPACE: Final[Mapping[str, Choice]] = {
    "learning_rate": Choice((3e-4, 1e-3, 3e-3), 1e-4, 1e-2),
    "weight_decay": Choice((1e-3, 1e-2, 1e-1), 1e-4, 0.3),
    "batch_size": Choice((32, 64, 128)),
    "optimizer": Choice(("momentum", "adam", "adamw")),
    "schedule": Choice(("cosine", "one-cycle")),
}


class Found(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The best of `trials` finished trainings by their validation score, and how to train with it."""

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
    space: Mapping[str, Choice] = SPACE,
    data: Path | None = None,
    seed: int = 0,
    processes: int = 1,
    progress: Progress | None = None,
) -> Found:
    """Train `trials` times in all with other options each time; what an earlier call finished in `out` counts.

    The test split plays no part: trials are compared on the validation split, or on a part of the training split.

    Raises:
        UserError: An unknown model or sampler.
        Interrupted: Ctrl-C; the same command goes on.
    """
    model: ReferenceModel = MODELS.get(name)
    base = options or model.options
    told = progress or Silent()
    out.mkdir(parents=True, exist_ok=True)
    work = partial(_work, name, out, trials, sampler, base, dict(space), data)
    _study(out, sampler, space, seed, create=True)
    with told.stage(f"search {name}"):
        try:
            _spread(work, seed, processes)
        except KeyboardInterrupt as err:
            hint = f"edgekit train {name} --search {trials} --out {out}"
            raise Interrupted(f"The search for '{name}' was stopped.", hint=hint) from err
    return _found(model, _study(out, sampler, space, seed), out, data)


def _spread(work: Any, seed: int, processes: int) -> None:
    if processes == 1:
        work(seed)
        return
    # Not forked: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(seed + number,)) for number in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise UserError("A process of the search failed; its error stands above.")


def _work(
    name: str,
    out: Path,
    trials: int,
    sampler: Sampler,
    base: TrainOptions,
    space: Mapping[str, Choice],
    data: Path | None,
    seed: int,
) -> None:
    """One process: trains until all processes together have finished `trials` trainings."""
    optuna = need("optuna", extra="train")
    model: ReferenceModel = MODELS.get(name)
    dataset = _with_validation(model.data(data))
    study = _study(out, sampler, space, seed)
    done = optuna.trial.TrialState.COMPLETE
    if sum(trial.state == done for trial in study.trials) >= trials:
        return
    enough = optuna.study.MaxTrialsCallback(trials, states=(done,))
    study.optimize(partial(_trial, model, dataset, base, space, sampler, out), n_trials=trials, callbacks=[enough])


def _trial(
    model: ReferenceModel,
    dataset: Dataset,
    base: TrainOptions,
    space: Mapping[str, Choice],
    sampler: Sampler,
    out: Path,
    trial: Any,
) -> float:
    from edgekit.train.loop import train
    from edgekit.train.run import read_history

    chosen = {name: str(_suggested(trial, name, choice, sampler)) for name, choice in space.items()}
    trial.set_user_attr("options", chosen)
    folder = out / f"trial-{trial.number}"
    train(replace(model, data=lambda _: dataset), folder, with_overrides(base, chosen), seed=trial.number)
    scores = [line.metric for line in read_history(folder) if line.metric is not None]
    return max(scores) if _higher(model) else min(scores)


def _suggested(trial: Any, name: str, choice: Choice, sampler: Sampler) -> Any:
    if choice.low is None or choice.high is None or sampler == "grid":
        return trial.suggest_categorical(name, list(choice.values))
    return trial.suggest_float(name, choice.low, choice.high, log=choice.high > 10 * choice.low > 0)


def _study(out: Path, sampler: str, space: Mapping[str, Choice], seed: int, *, create: bool = False) -> Any:
    optuna = need("optuna", extra="train")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = need("optuna.storages.journal", extra="train")
    storage = optuna.storages.JournalStorage(journal.JournalFileBackend(str(out / JOURNAL)))
    if sampler not in ("tpe", "grid"):
        raise UserError(f"Unknown sampler '{sampler}'.", hint="--sampler tpe, or --sampler grid")
    grid = {name: list(choice.values) for name, choice in space.items()}
    chooser = optuna.samplers.GridSampler(grid, seed) if sampler == "grid" else optuna.samplers.TPESampler(seed=seed)
    if not create:
        return optuna.load_study(study_name="edgekit", storage=storage, sampler=chooser)
    return optuna.create_study(study_name="edgekit", storage=storage, sampler=chooser, load_if_exists=True)


def _with_validation(found: Dataset) -> Dataset:
    if found.validation is not None:
        return found
    if found.train.labels is None:
        raise UserError(f"'{found.source}' has no validation split, and no labels to draw one by.")
    rest, held = hold_back(found.train, HELD_BACK)
    return replace(found, train=rest, validation=held)


def _found(model: ReferenceModel, study: Any, out: Path, data: Path | None) -> Found:
    finished = [trial for trial in study.trials if trial.value is not None]
    if not finished:
        raise UserError(f"No trial in '{out}' was finished.")
    best = (max if _higher(model) else min)(finished, key=lambda trial: trial.value)
    options: dict[str, str] = best.user_attrs["options"]
    words = ["edgekit", "train", model.spec.name, "--out", f"runs/{model.spec.name}"]
    words += ["--data", str(data)] if data else []
    for name, value in options.items():
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


def _higher(model: ReferenceModel) -> bool:
    return model.spec.metric is None or model.spec.metric.higher_is_better
