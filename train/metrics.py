"""Task metrics with 95 % intervals, computed from arrays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.bootstrap import DRAWS, bootstrap_interval
from edgekit.core.statistics.intervals import wilson
from edgekit.train.score import Score, as_estimate, score_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def classification(labels: Ints, predicted: Ints, classes: int) -> Score:
    """Accuracy (Wilson's interval), macro precision, recall and F1 (bootstrap over samples), and the confusion matrix.

    Args:
        labels: True class indices, shape (S,).
        predicted: Predicted class indices, shape (S,).
    """
    confusion = _confusion(labels, predicted, classes)
    details = {"accuracy": as_estimate(wilson(int((labels == predicted).sum()), len(labels)))}
    for name, column in (("precision", 0), ("recall", 1), ("f1", 2)):
        statistic = partial(_macro_of, labels, predicted, classes, column)
        details[name] = bootstrap(len(labels), statistic)
    return score_of("accuracy", details, tuple(tuple(int(n) for n in row) for row in confusion))


def bootstrap(
    n: int, statistic: Callable[[Ints], float], *, block: int = 1, draws: int = DRAWS, seed: int = 0
) -> Estimate:
    """`statistic` over all rows with its percentile bootstrap interval.

    Args:
        n: Number of rows.
        statistic: Takes an array of row numbers, with repetitions.
        block: Consecutive rows are drawn together in blocks of this many (moving blocks, Kuensch 1989).
    """
    return as_estimate(bootstrap_interval(n, statistic, block=block, draws=draws, seed=seed))


def regression(target: Floats, predicted: Floats, *, block: int = 1) -> dict[str, Estimate]:
    """MAE, MSE and RMSE over all values; rows are resampled.

    Args:
        target: Reference values, shape (S, ...).
        predicted: Same shape.
    """
    flat = (predicted - target).reshape(len(target), -1).astype(np.float64)
    absolute, squared = np.abs(flat).mean(axis=1), np.square(flat).mean(axis=1)
    n = len(target)
    return {
        "mae": bootstrap(n, lambda rows: float(absolute[rows].mean()), block=block),
        "mse": bootstrap(n, lambda rows: float(squared[rows].mean()), block=block),
        "rmse": bootstrap(n, lambda rows: float(np.sqrt(squared[rows].mean())), block=block),
    }


def auc(positive: NDArray[np.bool_], values: Floats) -> float:
    """Probability that a positive row has a higher value than a negative one; ties count half (Mann-Whitney)."""
    low, high = np.sort(values[~positive]), values[positive]
    below = np.searchsorted(low, high, "left")
    level = np.searchsorted(low, high, "right") - below
    return float((below + 0.5 * level).sum() / (len(low) * len(high)))


def _confusion(labels: Ints, predicted: Ints, classes: int) -> Ints:
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def _macro_of(labels: Ints, predicted: Ints, classes: int, column: int, rows: Ints) -> float:
    return _macro(_confusion(labels[rows], predicted[rows], classes))[column]


def _macro(confusion: Ints) -> tuple[float, float, float]:
    """(precision, recall, F1), each the mean over classes; a class that was never predicted has precision 0."""
    hits = np.diagonal(confusion).astype(np.float64)
    precision = hits / np.maximum(confusion.sum(axis=0), 1)
    recall = hits / np.maximum(confusion.sum(axis=1), 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(precision.mean()), float(recall.mean()), float(f1.mean())
