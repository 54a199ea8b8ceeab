"""ReferenceModel: a network with all that is needed to train, test and describe it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.train.data.dataset import Dataset
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


Answer = Callable[[Feed], Feed]
"""Anything that gives outputs for inputs: a network in evaluation mode, or the `run` of a Session."""


class Batch(NamedTuple):
    """Rows of a training set as tensors; `labels` are class indices (B,) or, after mixup, shares of shape (B, K)."""

    inputs: dict[str, Tensor]
    labels: Tensor | None
    targets: dict[str, Tensor]


class Trainee(Protocol):
    """What a loss is computed with: the network that is trained, the one that is trained along, and the options."""

    model: nn.Module
    companion: nn.Module | None
    options: TrainOptions


@dataclass(frozen=True)
class ReferenceModel:
    """One reference model.

    Args:
        build: The untrained network, at `location` (`package.module:function`). It takes the inputs of the spec in
            order and returns the outputs in order.
        data: Reads the data set; its argument is the folder named by `--data`, or None.
        options: Defaults that reach the floor.
        augment: A changed copy of a training batch, drawn from the generator.
        losses: One optimizer step each, in turn, for every batch; without any, `options.loss` of the outputs.
        companion: A second network that is trained along and thrown away, such as a discriminator.
        fit: Takes statistics of the training split into the network's buffers.
        score: The quality of whatever answers feeds, on samples; without it the metric of the spec decides.
        validate: A cheaper score that chooses among epochs; without it `score` does.
        lengths: A number a row; rows of similar numbers are batched together, such as sentences of one length.
        specialize: The spec completed by what was learnt from the training split, such as a vocabulary.
        generate: So many made-up samples a small training can run on; without it they are drawn to fit the spec.
        dataset: Name of the data set whose files `data` reads; empty where it is made up or comes with a package.
        terms: Why weights and samples are not shipped; empty when they may be.
    """

    spec: ModelSpec
    build: Callable[[], nn.Module]
    location: str
    data: Callable[[Path | None], Dataset]
    options: TrainOptions
    augment: Callable[[Batch, Generator], Batch] | None = None
    losses: tuple[Callable[[Trainee, Batch], Tensor], ...] = ()
    companion: Callable[[], nn.Module] | None = None
    fit: Callable[[nn.Module, Samples], None] | None = None
    score: Callable[[Answer, Samples, ModelSpec], Score] | None = None
    validate: Callable[[Answer, Samples, ModelSpec], Score] | None = None
    lengths: Callable[[Samples], NDArray[np.int64]] | None = None
    specialize: Callable[[ModelSpec, Dataset], ModelSpec] | None = None
    generate: Callable[[int], Samples] | None = None
    dataset: str = ""
    terms: str = ""
