"""The quality of a network, or of weights in a file, on labelled samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics.by_sample import by_sample, fitting, over_all
from edgekit.core.system.optional import need
from edgekit.train.metrics import bootstrap, classification, regression
from edgekit.train.model import Answer, ReferenceModel
from edgekit.train.score import Score, score_of
from edgekit.train.weights import load_network

if TYPE_CHECKING:
    from torch import nn

BATCH = 256


def evaluate(
    model: ReferenceModel,
    what: nn.Module | Path | Answer,
    samples: Samples,
    *,
    spec: ModelSpec | None = None,
    quick: bool = False,
) -> Score:
    """The metric of the model's spec with its 95 % interval.

    Args:
        what: The network, a weights file, or anything that returns outputs for feeds, such as `session.run`.
        spec: The spec of the run or bundle, which has what was learnt from the data, e.g. a vocabulary.
        quick: Use the cheaper score that selects the best epoch, if the model has one.

    Raises:
        UserError: The samples have neither labels nor targets.
        ModelUnreadable: The weights do not fit the network.
    """
    answer = _answering(model, what)
    score = (model.validate if quick else None) or model.score
    return score(answer, samples, spec or model.spec) if score else _by_metric(model, answer, samples)


def answering(model: ReferenceModel, module: nn.Module) -> Answer:
    """A function that returns the network's outputs by name: in evaluation mode, without gradients, in batches."""
    names = tuple(tensor.name for tensor in model.spec.outputs)

    def answer(feed: Feed) -> Feed:
        was_training = module.training
        module.eval()
        try:
            return outputs_of(module, feed, names)
        finally:
            module.train(was_training)

    return answer


def outputs_of(module: nn.Module, inputs: Feed, names: tuple[str, ...], *, batch: int = BATCH) -> Feed:
    """The outputs of `module` in its current mode, by name."""
    torch = need("torch", extra="export")
    device = next(module.parameters()).device
    rows = len(next(iter(inputs.values())))
    found: list[list[Array]] = [[] for _ in names]
    with torch.inference_mode():
        for start in range(0, rows, batch):
            feed = [torch.from_numpy(array[start : start + batch]).to(device) for array in inputs.values()]
            answer = module(*feed)
            for column, tensor in zip(found, answer if isinstance(answer, tuple) else (answer,), strict=True):
                column.append(tensor.cpu().numpy())
    return {name: np.concatenate(column) for name, column in zip(names, found, strict=True)}


def in_batches(model: Answer, inputs: Feed, *, batch: int = BATCH) -> Feed:
    """The outputs for all rows, computed for `batch` rows at a time."""
    rows = len(next(iter(inputs.values())))
    parts = [
        model({name: array[start : start + batch] for name, array in inputs.items()}) for start in range(0, rows, batch)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _answering(model: ReferenceModel, what: Any) -> Answer:
    if isinstance(what, Path):
        return answering(model, load_network(model, what))
    return answering(model, what) if hasattr(what, "state_dict") else what


def _by_metric(model: ReferenceModel, answer: Answer, samples: Samples) -> Score:
    outputs = in_batches(answer, samples.inputs)
    named = model.spec.metric.name if model.spec.metric else "mse"
    whole = over_all(named)
    if whole is not None:
        return score_of(named, {named: bootstrap(len(samples), whole(outputs, samples, model.spec))})
    metric = fitting(named, classes=samples.labels is not None)
    first = model.spec.outputs[0].name
    if samples.labels is not None:
        score = classification(samples.labels, outputs[first].argmax(axis=-1), outputs[first].shape[-1])
        return _headed(score, metric, outputs[first], samples.labels)
    if first not in samples.targets:
        raise UserError(f"Samples of '{model.spec.name}' have neither labels nor reference values for '{first}'.")
    answers, targets = outputs[first].astype(np.float64), samples.targets[first].astype(np.float64)
    return _headed(score_of("mse", regression(targets, answers)), metric, answers, targets)


def _headed(score: Score, metric: str, answers: Array, truth: Array) -> Score:
    """The score with `metric` as its headline: one of its own, else the mean over samples of a further metric."""
    details = {score.metric: score.estimate, **score.details}
    function = by_sample(metric)
    if metric not in details and function is not None:
        values = np.asarray(function(answers, truth), np.float64)
        details[metric] = bootstrap(len(values), lambda rows: float(values[rows].mean()))
    return score_of(metric if metric in details else score.metric, details, score.confusion)
