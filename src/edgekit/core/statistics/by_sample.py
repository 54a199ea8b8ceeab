"""Quality sample by sample: one value per sample is what pairs an artifact with PyTorch. And where to find the rest."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.metric import metric_traits
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics.bootstrap import Statistic

_ERRORS: Final = ("mae", "mse")
BySample = Callable[[Array, Array], NDArray[np.bool_] | NDArray[np.float64]]
OverAll = Callable[[Feed, Samples, ModelSpec], Statistic]


def by_sample(metric: str) -> BySample | None:
    """The function that gives a metric's value of each sample, shape (S,), from outputs and labels or targets.

    None for a metric of all samples together, such as `map50` or `auc`.
    """
    found: BySample | None = _function(metric_traits(metric).by_sample)
    return found


def over_all(metric: str) -> OverAll | None:
    """The function that gives a metric of all samples together, from outputs and labelled samples: a statistic of any
    choice of them. None for a metric with a value per sample, and for one that only the model computes, such as `bleu`.
    """
    found: OverAll | None = _function(metric_traits(metric).over_all)
    return found


def _function(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name) if module else None


def fitting(metric: str, *, classes: bool) -> str:
    """`metric`, or the usual one of labels (`classes`) or of targets where it does not fit them.

    Errors of class numbers say nothing, and neither do hits of real numbers.
    """
    if classes:
        return "accuracy" if metric in _ERRORS else metric
    return "mae" if metric == "accuracy" else metric


def correct(scores: Array, labels: Array) -> NDArray[np.bool_]:
    """Whether each sample's highest score is that of its class; scores may have more axes, which are flattened."""
    return np.asarray(scores.reshape(len(scores), -1).argmax(axis=1) == labels)


def absolute_error(answers: Array, targets: Array) -> NDArray[np.float64]:
    """Mean absolute error of each sample."""
    return _mean(np.abs(_difference(answers, targets)))


def squared_error(answers: Array, targets: Array) -> NDArray[np.float64]:
    """Mean squared error of each sample."""
    return _mean(_difference(answers, targets) ** 2)


def _difference(answers: Array, targets: Array) -> NDArray[np.float64]:
    return np.asarray(np.asarray(answers, np.float64) - np.asarray(targets, np.float64))


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(values.reshape(len(values), -1).mean(axis=1))
