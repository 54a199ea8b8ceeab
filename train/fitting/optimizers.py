"""Optimizers by name, and learning rate schedules."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch

from edgekit.train.options import TrainOptions


def optimizer_of(options: TrainOptions, parameters: Iterable[Any]) -> torch.optim.Optimizer:
    """The optimizer named in `options`, for the parameters that are not frozen."""
    free = [parameter for parameter in parameters if parameter.requires_grad]
    rate, decay, momentum = options.learning_rate, options.weight_decay, options.momentum
    if options.optimizer == "sgd":
        return torch.optim.SGD(free, rate, weight_decay=decay)
    if options.optimizer == "momentum":
        return torch.optim.SGD(free, rate, momentum=momentum, weight_decay=decay)
    if options.optimizer == "rmsprop":
        return torch.optim.RMSprop(free, rate, momentum=momentum, weight_decay=decay)
    kind = torch.optim.Adam if options.optimizer == "adam" else torch.optim.AdamW
    return kind(free, rate, betas=(momentum, 0.999), weight_decay=decay)


def rate_at(options: TrainOptions, step: int, steps_per_epoch: int) -> float:
    """The learning rate of optimizer step `step`, counted from 0 over the whole training."""
    total = options.epochs * steps_per_epoch
    warmup = options.warmup_epochs * steps_per_epoch
    if step < warmup:
        return options.learning_rate * (step + 1) / (warmup + 1)
    return options.learning_rate * _factor(options, (step - warmup) / max(total - warmup, 1))


def _factor(options: TrainOptions, done: float) -> float:
    """What the learning rate is multiplied with when a share `done` of the training is over."""
    if options.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if options.schedule == "linear":
        return 1 - done
    if options.schedule == "step":
        # A tenth after half of the training, a hundredth after three quarters, as ResNets are trained.
        return 0.1 ** ((done >= 0.5) + (done >= 0.75))
    if options.schedule == "one-cycle":
        # Up for 30 % of the training from a 25th, then down along a cosine (Smith and Topin 2018).
        return 0.04 + 0.96 * done / 0.3 if done < 0.3 else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
    return 1.0
