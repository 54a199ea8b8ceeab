"""The quality of a network, or of weights in a file, on labelled samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.need import need
from edgekit.core.samples import Feed, Samples
from edgekit.train.metrics import classification, regression
from edgekit.train.model import ReferenceModel
from edgekit.train.score import Score, score_of
from edgekit.train.weights import load_network

if TYPE_CHECKING:
    from torch import nn

BATCH = 256


def evaluate(model: ReferenceModel, module_or_weights: nn.Module | Path, samples: Samples) -> Score:
    """The metric of the model's spec with its 95 % interval.

    Raises:
        UserError: The samples have neither labels nor targets.
        ModelUnreadable: The weights do not fit the network.
    """
    given = module_or_weights
    module = load_network(model, given) if isinstance(given, Path) else given
    was_training = module.training
    module.eval()
    try:
        return model.score(module, samples) if model.score else _by_metric(model, module, samples)
    finally:
        module.train(was_training)


def outputs_of(module: nn.Module, inputs: Feed, names: tuple[str, ...], *, batch: int = BATCH) -> Feed:
    """What the network answers, by output name, in evaluation mode and without gradients."""
    torch = need("torch", extra="export")
    device = next(module.parameters()).device
    rows = len(next(iter(inputs.values())))
    found: list[list[np.ndarray]] = [[] for _ in names]
    with torch.inference_mode():
        for start in range(0, rows, batch):
            feed = [torch.from_numpy(array[start : start + batch]).to(device) for array in inputs.values()]
            answer = module(*feed)
            for column, tensor in zip(found, answer if isinstance(answer, tuple) else (answer,), strict=True):
                column.append(tensor.cpu().numpy())
    return {name: np.concatenate(column) for name, column in zip(names, found, strict=True)}


def _by_metric(model: ReferenceModel, module: nn.Module, samples: Samples) -> Score:
    outputs = outputs_of(module, samples.inputs, tuple(tensor.name for tensor in model.spec.outputs))
    metric = model.spec.metric.name if model.spec.metric else "mse"
    first = next(iter(outputs))
    if samples.labels is not None:
        return classification(samples.labels, outputs[first].argmax(axis=-1), outputs[first].shape[-1])
    if first not in samples.targets:
        raise UserError(f"Samples of '{model.spec.name}' have neither labels nor reference values for '{first}'.")
    return score_of(metric, regression(samples.targets[first].astype(np.float64), outputs[first].astype(np.float64)))
