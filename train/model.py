"""ReferenceModel: a network with everything needed to train, test and describe it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.train.data.dataset import Dataset
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score

if TYPE_CHECKING:
    from torch import Generator, Tensor, nn


Answer = Callable[[Feed], Feed]
"""Anything that returns outputs for inputs: a network in evaluation mode, or the `run` of a Session."""


class Batch(NamedTuple):
    """Rows of a training set as tensors; `labels` are class indices (B,) or, after mixup, shares of shape (B, K)."""

    inputs: dict[str, Tensor]
    labels: Tensor | None
    targets: dict[str, Tensor]


class Trainee(Protocol):
    """What a loss needs: the trained network, the one that is trained with it, and the options."""

    model: nn.Module
    companion: nn.Module | None
    options: TrainOptions


@dataclass(frozen=True)
class ReferenceModel:
    """One reference model.

    Args:
        build: The untrained network, at `location` (`package.module:function`). It takes the inputs of the spec in
            order and returns the outputs in order.
        data: Reads the data set; its argument is the folder given by `--data`, or None.
        options: Defaults with which training reaches the floor.
        augment: Returns a randomly changed copy of a training batch.
        losses: Each takes one optimizer step, in turn, for every batch; default: `options.loss` of the outputs.
        companion: A second network that is trained too but not kept, e.g. a discriminator.
        fit: Computes statistics of the training split for the network's buffers.
        score: The quality of outputs on samples; default: the metric of the spec.
        validate: A cheaper score that selects the best epoch; default: `score`.
        lengths: One number per row; rows with similar numbers are batched together, e.g. sentences of one length.
        specialize: The spec completed with what was learnt from the training split, e.g. a vocabulary.
        generate: Synthetic samples for a small training, as many as its argument; default: random ones for the spec.
        dataset: Name of the data set whose files `data` reads; empty if it is generated or part of a package.
        terms: Why weights and samples are not shipped; empty if they may be.
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
