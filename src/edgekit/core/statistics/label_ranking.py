"""How well scores rank samples: the area under the ROC curve, and the average precision of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import MULTI_LABEL, LabelsOutput
from edgekit.core.statistics.bootstrap import Rows, Statistic

_NEVER_ZERO: Final = 1e-300


def roc_auc(scores: Array, truth: Array) -> float | None:
    """Of all pairs of a positive and a negative sample, the share that the scores rank correctly; a tie is one half.

    Args:
        scores: (S,).
        truth: (S,), 1 for positive and 0 for negative samples.

    Returns:
        From 0 to 1; None without a sample of either kind.
    """
    positive = np.asarray(truth, np.bool_)
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return None
    _, places, counts = np.unique(np.asarray(scores, np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[places]
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


@dataclass(frozen=True)
class LabelRanking:
    """S samples sorted by the score of each of K labels, best first, each array (S, K).

    `order` are the samples, `hits` whether they have the label, and `ends` the last place with the same score.
    """

    order: NDArray[np.int64]
    hits: NDArray[np.bool_]
    ends: NDArray[np.int64]

    def mean_average_precision(self, rows: Rows) -> float:
        """The average precision of each label over these samples, its mean over the labels that occur in them.

        The sum over scores of the gain in recall times the precision, as `average_precision_score` of scikit-learn has
        it with `average="macro"`. 0 if no label occurs.
        """
        weights = np.bincount(rows, minlength=len(self.order))[self.order]
        found, hits = np.cumsum(weights, axis=0), np.cumsum(weights * self.hits, axis=0)
        precision = np.take_along_axis(hits / (found + _NEVER_ZERO), self.ends, axis=0)
        total = hits[-1]
        present = total > 0
        summed = (weights * self.hits * precision).sum(axis=0)
        return float(np.mean(summed[present] / total[present])) if present.any() else 0.0


def label_ranking(scores: Array, truth: Array) -> LabelRanking:
    """The ranking of S samples, at least one, by scores (S, K) of the labels that `truth` (S, K) marks with 1."""
    values = np.asarray(scores, np.float64)
    order = np.argsort(-values, axis=0, kind="stable")
    ranked = np.take_along_axis(values, order, axis=0)
    count = len(values)
    is_last = np.ones(values.shape, np.bool_)
    is_last[:-1] = ranked[:-1] != ranked[1:]
    places = np.where(is_last, np.arange(count)[:, None], count)
    ends = np.minimum.accumulate(places[::-1], axis=0)[::-1]
    return LabelRanking(order, np.take_along_axis(np.asarray(truth, np.bool_), order, axis=0), ends)


def macro_ap(outputs: Feed, samples: Samples, spec: ModelSpec) -> Statistic:
    """The mean average precision of the labels that occur; the metric of a multi-label network.

    Raises:
        UserError: The samples mark no labels, or the output that the spec describes has other shapes.
    """
    how, marks = spec.postprocessing, samples.targets.get(MULTI_LABEL)
    if marks is None or marks.dtype.kind not in "biuf" or not marks.size:
        raise UserError(f"The samples have no '{MULTI_LABEL}'.", hint="edgekit export SOURCE --samples FILE")
    if not isinstance(how, LabelsOutput) or how.scores not in outputs:
        raise UserError(f"'{spec.name}' has no description of the labels in its outputs.")
    scores = outputs[how.scores]
    if len(scores) != len(marks) or scores.size != marks.size:
        raise UserError(f"Output '{how.scores}' has the shape {scores.shape}, the labels have {marks.shape}.")
    rows = len(marks)
    return label_ranking(scores.reshape(rows, -1), marks.reshape(rows, -1)).mean_average_precision
