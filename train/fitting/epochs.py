"""The epochs of one training, in one or more processes, with Lightning Fabric."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, fx, nn

from edgekit.core.errors import UserError
from edgekit.core.reports.report import Epoch
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import write_atomic
from edgekit.core.system.progress import Progress
from edgekit.train.data.dataset import Dataset
from edgekit.train.evaluate import evaluate
from edgekit.train.fitting.checkpoint import (
    BEST,
    LAST,
    TrainingState,
    read_checkpoint,
    read_state,
    write_checkpoint,
    write_weights,
)
from edgekit.train.fitting.distributed import is_one_of_many, spread
from edgekit.train.fitting.learner import Learner, mix
from edgekit.train.fitting.optimizers import optimizer_of, rate_at
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions
from edgekit.train.qat.learned_form import learned
from edgekit.train.qat.prepare import convert, prepare
from edgekit.train.training_run import HISTORY, history_lines, read_history
from edgekit.train.weights import read_tensors

_POOL = 40
# Of the training split: the ranges of tensors begin where these rows need them.
_EXAMPLE = 256


@dataclass(frozen=True)
class TrainingJob:
    """The settings of one training."""

    model: ReferenceModel
    out: Path
    options: TrainOptions
    seed: int
    dataset: Dataset
    init_from: Path | None = None
    freeze: tuple[str, ...] = ()
    processes: int = 1

    @property
    def spec(self) -> ModelSpec:
        """The spec of the model, completed with what the data provides."""
        return self.model.specialize(self.model.spec, self.dataset) if self.model.specialize else self.model.spec

    @property
    def result(self) -> ReferenceModel:
        """The model whose network takes the weights that are kept."""
        return learned(self.model) if self.options.qat else self.model


def fit(job: TrainingJob, progress: Progress) -> TrainingState:
    """Run the attempts of a training until the floor is met or none is left, and return the progress.

    With several processes, each computes its share of every batch, and the gradients are averaged. The result is that
    of one process except for rounding, dropout and batch norm, which sees its share only. Under `torchrun` this is
    one of the processes.
    """
    if job.processes > 1 and not is_one_of_many():
        # As an argument the job would be searched for modules, which frozen values refuse.
        spread(partial(_work, job=job), job.options.accelerator, job.processes, progress)
        return read_state(job.out / LAST)
    count = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if is_one_of_many() else 1
    strategy = "ddp" if is_one_of_many() else "auto"
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // count if is_one_of_many() else 1
    fabric = Fabric(accelerator=job.options.accelerator, devices=count, num_nodes=nodes, strategy=strategy)
    fabric.launch()
    _work(fabric, progress, job)
    return read_state(job.out / LAST)


def _work(fabric: Fabric, progress: Progress, job: TrainingJob) -> None:
    """What each process does; the number of threads is that of before again when it ends."""
    before = torch.get_num_threads()
    shared = max(1, (os.cpu_count() or 1) // fabric.world_size) if fabric.world_size > 1 else before
    torch.set_num_threads(job.options.threads or shared)
    try:
        _attempts(fabric, progress, job)
    finally:
        torch.set_num_threads(before)


def _attempts(fabric: Fabric, progress: Progress, job: TrainingJob) -> None:
    """Train until the floor is met, or no attempt is left."""
    rows = Rows.of(job.dataset.train, job.model.lengths)
    last = read_state(job.out / LAST) if (job.out / LAST).is_file() else TrainingState()
    for attempt in range(last.attempt, job.options.restarts + 1):
        fitting = Fitting.begin(
            job, fabric, rows, last if last.attempt == attempt else TrainingState(attempt, last.wall_s, last.cpu_s)
        )
        fitting.run(progress)
        last = fitting.state
        if attempt == job.options.restarts or fabric.broadcast(_is_solved(job)):
            return


def _is_solved(job: TrainingJob) -> bool:
    """Whether the kept weights reach the floor on the training data; if not, another attempt may."""
    metric = job.model.spec.metric
    if metric is None or metric.floor is None:
        return True
    value = evaluate(job.result, job.out / BEST, job.dataset.train, spec=job.spec).value
    return value >= metric.floor if metric.higher_is_better else value <= metric.floor


@dataclass(frozen=True)
class Rows:
    """A training set as tensors."""

    inputs: dict[str, Tensor]
    labels: Tensor | None
    targets: dict[str, Tensor]
    count: int
    lengths: Tensor | None = None

    @classmethod
    def of(cls, samples: Samples, lengths: Callable[[Samples], Any] | None = None) -> Rows:
        """The samples as tensors that share their memory if possible."""
        inputs = {name: _tensor(array) for name, array in samples.inputs.items()}
        targets = {name: _tensor(array) for name, array in samples.targets.items()}
        labels = None if samples.labels is None else _tensor(samples.labels)
        return cls(inputs, labels, targets, len(samples), torch.from_numpy(lengths(samples)) if lengths else None)

    def batch(self, rows: Tensor) -> Batch:
        """The rows with these indices."""
        labels = None if self.labels is None else self.labels[rows]
        inputs = {name: tensor[rows] for name, tensor in self.inputs.items()}
        return Batch(inputs, labels, {name: tensor[rows] for name, tensor in self.targets.items()})


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


@dataclass
class Fitting:
    """One attempt of a training: the network, its optimizer and its progress."""

    job: TrainingJob
    fabric: Fabric
    rows: Rows
    learner: nn.Module
    optimizer: Any
    inner: Learner
    state: TrainingState
    average: dict[str, Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)

    @classmethod
    def begin(cls, job: TrainingJob, fabric: Fabric, rows: Rows, state: TrainingState) -> Fitting:
        """A new attempt, or one resumed from its last checkpoint if `state` has finished an epoch."""
        torch.manual_seed(_mixed(job.seed, state.attempt, "weights"))
        inner = Learner(job.model, job.options)
        if job.model.fit:
            job.model.fit(inner.model, job.dataset.train)
        if job.init_from:
            start_from(inner.model, job.init_from)
        freeze(inner.model, job.freeze)
        if job.options.qat:
            inner.model = prepare(inner.model, [one[:_EXAMPLE] for one in rows.inputs.values()])
        if job.options.channels_last:
            inner.to(memory_format=torch.channels_last)
        optimizer = optimizer_of(job.options, inner.parameters())
        average = _tracked(inner.model) if job.options.average else {}
        if state.epoch:
            read_checkpoint(job.out / LAST, inner, optimizer, average)
        done = (state.attempt, state.epoch)
        history = [line for line in read_history(job.out) if (line.attempt, line.epoch) <= done]
        learner, wrapped = fabric.setup(inner, optimizer)
        return cls(job, fabric, rows, learner, wrapped, inner, state, average, history)

    def run(self, progress: Progress) -> None:
        """Run the remaining epochs."""
        options = self.job.options
        for epoch in range(self.state.epoch + 1, options.epochs + 1):
            if options.patience and self.state.since >= options.patience:
                break
            begun, begun_cpu = time.perf_counter(), time.process_time()
            loss = self._epoch(epoch)
            metric = self._validated()
            self.state.epoch = epoch
            self.state.wall_s += time.perf_counter() - begun
            self.state.cpu_s += time.process_time() - begun_cpu
            if self.fabric.is_global_zero:
                # The checkpoint comes last: a kill before it repeats the epoch, and nothing is there twice.
                self._record(epoch, loss, metric)
                self._keep(metric)
            self.state.best, self.state.since = self.fabric.broadcast((self.state.best, self.state.since))
            progress.step(epoch, options.epochs, _note(self.job.model, loss, metric))

    def _epoch(self, epoch: int) -> float:
        """One pass over the training set in an order that seed, attempt and epoch decide; the mean loss."""
        options = self.job.options
        # Every draw of an epoch follows from here, so that a resumed training is the same as one never stopped.
        torch.manual_seed(_mixed(self.job.seed, self.state.attempt, epoch, *self._rank()))
        generator = torch.Generator().manual_seed(_mixed(self.job.seed, self.state.attempt, f"rows {epoch}"))
        batches = [rows for _ in range(options.passes) for rows in self._order(generator)]
        self.learner.train()
        total = torch.zeros((), device=self.fabric.device)
        for number, rows in enumerate(batches):
            batch = self._prepared(self.rows.batch(rows), generator)
            total += self._step(batch, (epoch - 1) * len(batches) + number, len(batches)) * len(rows)
        mean = total / (self.rows.count * options.passes)
        return float(self.fabric.all_reduce(mean, reduce_op="mean"))

    def _rank(self) -> tuple[int, ...]:
        """What sets the draws of this process apart from those of the others; nothing for the first."""
        return (self.fabric.global_rank,) if self.fabric.global_rank else ()

    def _order(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The rows of every batch of one pass."""
        size = self.job.options.batch_size
        order = torch.randperm(self.rows.count, generator=generator)
        if self.rows.lengths is None:
            return tuple(order.split(size))
        # Sorting within pools keeps rows of similar length together and the order of batches random.
        pools = order.split(_POOL * size)
        alike = torch.cat([pool[self.rows.lengths[pool].argsort(stable=True)] for pool in pools]).split(size)
        return tuple(alike[number] for number in torch.randperm(len(alike), generator=generator))

    def _prepared(self, batch: Batch, generator: torch.Generator) -> Batch:
        job = self.job
        if job.options.augment and job.model.augment:
            batch = job.model.augment(batch, generator)
        if job.options.mixup and batch.labels is not None:
            batch = mix(batch, job.options.mixup, len(job.model.spec.labels), generator)
        return batch

    def _step(self, batch: Batch, step: int, per_epoch: int) -> Tensor:
        """One optimizer step a phase; the loss of the last."""
        rate = rate_at(self.job.options, step, per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch, weight = _share(batch, self.fabric.global_rank, self.fabric.world_size)
        batch = self.fabric.to_device(_laid_out(batch) if self.job.options.channels_last else batch)
        for phase in range(len(self.inner.losses)):
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.learner(batch, phase) * weight
            self.fabric.backward(loss)
            if self.job.options.clip:
                self.fabric.clip_gradients(self.learner, self.optimizer, max_norm=self.job.options.clip)
            self.optimizer.step()
        self._track(step)
        return loss.detach()

    def _track(self, step: int) -> None:
        """Move the running mean of the weights; early steps weigh less, or it would remember the random start."""
        if not self.average:
            return
        decay = min(self.job.options.average, (1 + step) / (10 + step))
        for name, tensor in self.inner.model.state_dict().items():
            kept = self.average[name]
            if kept.is_floating_point():
                kept.lerp_(tensor.cpu(), 1 - decay)
            else:
                kept.copy_(tensor)

    def _result(self) -> nn.Module:
        """The network whose weights are kept: the trained one, a copy with averaged weights, or with those on steps."""
        if isinstance(self.inner.model, fx.GraphModule):
            return convert(self.inner.model)
        if not self.average:
            return self.inner.model
        copy = self.job.model.build()
        copy.load_state_dict(self.average)
        return copy

    def _validated(self) -> float | None:
        if self.job.dataset.validation is None:
            return None
        return evaluate(
            self.job.model, self._result(), self.job.dataset.validation, spec=self.job.spec, quick=True
        ).value

    def _keep(self, metric: float | None) -> None:
        """Write the best weights if these are, and then the checkpoint: a kill between the two repeats the epoch."""
        if self._is_best(metric):
            self.state.best, self.state.since = metric, 0
            write_weights(self.job.out / BEST, self._result())
        else:
            self.state.since += 1
        write_checkpoint(self.job.out / LAST, self.inner, self.optimizer, self.average, self.state)

    def _is_best(self, metric: float | None) -> bool:
        if metric is None or self.state.best is None:
            return True
        kind = self.job.model.spec.metric
        return metric > self.state.best if kind is None or kind.higher_is_better else metric < self.state.best

    def _record(self, epoch: int, loss: float, metric: float | None) -> None:
        rate = float(self.optimizer.param_groups[0]["lr"])
        self.history.append(Epoch(epoch, self.state.attempt, loss, rate, metric, self.state.wall_s))
        write_atomic(self.job.out / HISTORY, history_lines(self.history))


def _share(batch: Batch, rank: int, count: int) -> tuple[Batch, float]:
    """The rows of one process, and what its loss is multiplied with so that the mean over processes is that of all."""
    if count == 1:
        return batch, 1.0
    whole = len(next(iter(batch.inputs.values())))
    part = Batch(
        {name: rows[rank::count] for name, rows in batch.inputs.items()},
        None if batch.labels is None else batch.labels[rank::count],
        {name: rows[rank::count] for name, rows in batch.targets.items()},
    )
    return part, len(next(iter(part.inputs.values()))) * count / whole


def _laid_out(batch: Batch) -> Batch:
    """The batch with the channels of every image side by side in memory."""
    inputs = {
        name: rows.contiguous(memory_format=torch.channels_last) if rows.ndim == 4 else rows
        for name, rows in batch.inputs.items()
    }
    return batch._replace(inputs=inputs)


def start_from(module: nn.Module, weights: Path) -> tuple[str, ...]:
    """Copy every tensor with a matching name and shape, and return the names of those without.

    Raises:
        UserError: No tensor matches.
    """
    own, found = module.state_dict(), read_tensors(weights)
    fitting = {name: found[name] for name in own if name in found and found[name].shape == own[name].shape}
    if not fitting:
        raise UserError(f"No tensor in '{weights}' has the name and shape of one in the network.")
    module.load_state_dict(own | fitting)
    return tuple(name for name in own if name not in fitting)


def freeze(module: nn.Module, prefixes: tuple[str, ...]) -> None:
    """Freeze every parameter whose name starts with one of `prefixes`.

    Raises:
        UserError: No parameter starts with a prefix.
    """
    names = [name for name, _ in module.named_parameters()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            raise UserError(f"No parameter starts with '{prefix}'. Parameters: {', '.join(names)}.")
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(not name.startswith(prefixes) if prefixes else True)


def _tracked(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}


def _mixed(*parts: object) -> int:
    """A seed from numbers and words; nearby ones give unrelated streams."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:8]) >> 1


def _note(model: ReferenceModel, loss: float, metric: float | None) -> str:
    name = model.spec.metric.name if model.spec.metric else "metric"
    return f"loss {loss:.4f}" + ("" if metric is None else f", {name} {metric:.4f}")
