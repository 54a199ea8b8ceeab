"""The training loop: from a reference model to a folder with weights and the record of the training."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import msgspec

from edgekit.core.errors import Interrupted, UserError
from edgekit.core.system import documents
from edgekit.core.system.durable.claims import claimed
from edgekit.core.system.files import refuse_existing, sha256_file
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.version import VERSION
from edgekit.train.data.dataset import Dataset
from edgekit.train.data.dataset_checks import check
from edgekit.train.evaluate import evaluate
from edgekit.train.fitting.checkpoint import BEST, TrainingState
from edgekit.train.fitting.distributed import leads
from edgekit.train.fitting.epochs import TrainingJob, fit, start_from
from edgekit.train.fitting.epochs import freeze as freeze_parts
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions
from edgekit.train.training_run import (
    RUN_FILE,
    DataFacts,
    TrainingRun,
    peak_memory_bytes,
    read_any,
    resume_command,
    tool_versions,
)
from edgekit.train.weights import load_state

_TOOLS = ("torch", "lightning-fabric", "numpy")


def train(
    model: ReferenceModel,
    out: Path,
    options: TrainOptions,
    *,
    data: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: Progress | None = None,
    init_from: Path | None = None,
    freeze: tuple[str, ...] = (),
    processes: int = 1,
    command: str = "",
) -> TrainingRun:
    """Train `model`, and write weights, checkpoints, history and a record to the folder `out`.

    The same seed on the same machine gives the same weights, even if the training was interrupted.

    Args:
        data: Folder of data sets; see `ReferenceModel.data`.
        resume: Resume after the last finished epoch in `out`. A finished run is returned unchanged.
        init_from: Weights (safetensors) to start from; tensors that do not match the network are left out.
        freeze: Parameters whose names start with one of these are not trained.
        processes: Number of processes that train together on this machine; the batch size is their total.
        command: The command for this training without `--out` and `--data`; written to the record.

    Raises:
        UserError: `out` exists and `resume` is not set, or the options to `resume` with are different; or another
            training writes there.
        Interrupted: Ctrl-C; the hint is the command that resumes.
    """
    shown = progress or Silent()
    if leads():
        _check_out(model, out, resume)
    # Of the processes of one training, one writes.
    with claimed(out) if leads() else nullcontext():
        if leads():
            _check_out(model, out, resume)  # who had the claim before may have written it
        with shown.stage("read data"):
            job = TrainingJob(model, out, options, seed, model.data(data), init_from, freeze, processes)
            warnings = (*check(job.dataset), *_started(job))
        run = _begun(job, resume, command, warnings)
        return run if run.finished else _trained(job, run, shown, data)


def _trained(job: TrainingJob, run: TrainingRun, progress: Progress, data: Path | None) -> TrainingRun:
    """The finished record, after the epochs that are missing and the test."""
    name = job.model.spec.name
    try:
        with progress.stage(f"train {name}"):
            state = fit(job, progress)
        if not leads():
            return run
        with progress.stage("test"):
            return _finished(job, run, state)
    except KeyboardInterrupt as err:
        # The last checkpoint is valid at any moment: the hint must not depend on it.
        hint = resume_command(run, job.out, data)
        raise Interrupted(f"The training of '{name}' was stopped.", hint=hint) from err


def _check_out(model: ReferenceModel, out: Path, resume: bool) -> None:
    if not resume:
        if (out / RUN_FILE).is_file():
            hint = f"edgekit train {model.spec.name} --out {out} --resume"
            raise UserError(f"'{out}' already contains a training.", hint=hint)
        refuse_existing(out)


def _started(job: TrainingJob) -> tuple[str, ...]:
    """What the network will not take over from `init_from`; a wrong prefix to freeze is reported before any work."""
    if job.options.qat:
        _check_rounding(job)
    network = job.model.build()
    freeze_parts(network, job.freeze)
    fresh = start_from(network, job.init_from) if job.init_from else ()
    start = "These layers start from scratch: the given weights have nothing that fits them"
    return (f"{start}: {', '.join(fresh)}.",) if fresh else ()


def _check_rounding(job: TrainingJob) -> None:
    """Raise for a training with rounding that has no weights to continue from, or a network that cannot be traced."""
    if not job.init_from:
        raise UserError(
            "Training with the rounding of int8 continues from trained weights.",
            hint=f"--qat --init-from {job.model.spec.name}",
        )
    job.result.build()


def _begun(job: TrainingJob, resume: bool, command: str, warnings: tuple[str, ...]) -> TrainingRun:
    """The record of a new run, or the one that is resumed once it is known to be the same training."""
    fresh = TrainingRun(
        model=job.model.spec.name,
        spec=job.spec,
        options=job.options,
        seed=job.seed,
        data=_facts(job.dataset),
        created=documents.now(),
        command=command,
        tools={"edgekit": VERSION, **tool_versions(_TOOLS)},
        warnings=warnings,
        init_from=sha256_file(job.init_from) if job.init_from else "",
        processes=job.processes,
        freeze=job.freeze,
    )
    if resume and (job.out / RUN_FILE).is_file():
        before = read_any(job.out)
        _check_same(before, fresh, job.out)
        return before
    if leads():
        documents.write(job.out / RUN_FILE, fresh)
    return fresh


def _check_same(before: TrainingRun, now: TrainingRun, out: Path) -> None:
    for name in ("model", "options", "seed", "data", "init_from", "freeze", "processes"):
        if (value := getattr(before, name)) != getattr(now, name):
            raise UserError(
                f"The training in '{out}' was started with different settings: its '{name}' is {_text(value)}.",
                hint=f"{resume_command(before, out)}, or another --out",
            )


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _facts(dataset: Dataset) -> DataFacts:
    held = 0 if dataset.validation is None else len(dataset.validation)
    return DataFacts(dataset.source, dataset.digest, dataset.licence, len(dataset.train), held, len(dataset.test))


def _finished(job: TrainingJob, run: TrainingRun, state: TrainingState) -> TrainingRun:
    module = job.result.build()
    load_state(module, job.out / BEST)
    done = msgspec.structs.replace(
        run,
        finished=True,
        score=evaluate(job.model, module, job.dataset.test, spec=job.spec),
        epochs=state.epoch,
        attempts=state.attempt + 1,
        wall_s=state.wall_s,
        cpu_s=state.cpu_s,
        peak_memory_bytes=peak_memory_bytes(),
        weights=BEST,
        weights_sha256=sha256_file(job.out / BEST),
    )
    documents.write(job.out / RUN_FILE, done)
    return done
