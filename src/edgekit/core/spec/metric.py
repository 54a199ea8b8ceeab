"""The quality metrics of models, with their units and directions."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec


class MetricTraits(NamedTuple):
    """What is known of a metric: the unit it is printed in, and which direction is better.

    `unit` is `ratio` for shares and `1` for numbers. `by_sample` is the `package.module:function` that gives one value
    per sample, as in `core/statistics/by_sample.py`. `over_all` is that of a metric of all samples together, as in
    `detection.py`. Both are empty for a metric that only the model itself computes.
    """

    unit: str
    higher_is_better: bool
    by_sample: str = ""
    over_all: str = ""


_HERE: Final = "edgekit.core.statistics.by_sample"
# A new metric is one row here and, where it has a value per sample, one function.
MODEL_METRICS: Final = {
    "accuracy": MetricTraits("ratio", True, f"{_HERE}:correct"),
    # Of all pairs of one positive and one negative sample, the share that is ranked correctly.
    "auc": MetricTraits("ratio", True),
    "bleu": MetricTraits("1", True),
    # BLEU from 0 to 100 of texts that a network returns whole; `bleu` is of those that it generates token by token.
    "corpus_bleu": MetricTraits("1", True, over_all="edgekit.runtime.tasks.translations:corpus_bleu"),
    # Mean average precision at an overlap of 0.5, and over 0.5 to 0.95 in steps of 0.05.
    "map50": MetricTraits("ratio", True, over_all="edgekit.runtime.detection:map50"),
    "map": MetricTraits("ratio", True, over_all="edgekit.runtime.detection:map_of_all_overlaps"),
    # Of masks: the mean overlap of the classes that occur, and the share of places with the right class.
    "miou": MetricTraits("ratio", True, over_all="edgekit.runtime.segmentation:miou"),
    "pixel_accuracy": MetricTraits("ratio", True, over_all="edgekit.runtime.segmentation:pixel_accuracy"),
    # Of labels of which a sample may have several: the mean of their average precisions.
    "macro_ap": MetricTraits("ratio", True, over_all="edgekit.core.statistics.label_ranking:macro_ap"),
    "mae": MetricTraits("1", False, f"{_HERE}:absolute_error"),
    "mse": MetricTraits("1", False, f"{_HERE}:squared_error"),
    # The exponential of the mean loss of a token: among how many words a model hesitates.
    "perplexity": MetricTraits("1", False, over_all="edgekit.runtime.tasks.perplexity:perplexity"),
    # Of points: the share that is near enough, and the average precision of people by COCO's similarity.
    "pck": MetricTraits("ratio", True, over_all="edgekit.runtime.tasks.keypoints:pck"),
    "oks_ap": MetricTraits("ratio", True, over_all="edgekit.runtime.tasks.keypoints:oks_ap"),
    # Of texts: the words, or the characters, that must change, for each that there should be.
    "wer": MetricTraits("ratio", False, over_all="edgekit.runtime.tasks.transcripts:wer"),
    "cer": MetricTraits("ratio", False, over_all="edgekit.runtime.tasks.transcripts:cer"),
    "sure": MetricTraits("ratio", True),
}


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The quality metric of a model: a row of `MODEL_METRICS`, or a number of its own of which higher is better."""

    name: str
    floor: float | None = None

    @property
    def higher_is_better(self) -> bool:
        """True for metrics such as accuracy, False for errors."""
        return metric_traits(self.name).higher_is_better

    def is_met_by(self, value: float | None) -> bool:
        """Whether `value` reaches the floor; always without a floor, never without a value."""
        if self.floor is None or value is None:
            return self.floor is None
        return value >= self.floor if self.higher_is_better else value <= self.floor


def metric_traits(name: str) -> MetricTraits:
    """The row of a metric; a number of which higher is better for a name that has none."""
    return MODEL_METRICS.get(name, MetricTraits("1", True))


def metric_unit(name: str) -> str:
    """The unit a metric is printed in: `ratio` for shares, `1` for numbers."""
    return metric_traits(name).unit


def drop_unit(name: str) -> str:
    """The unit a drop of a metric is printed in: points of shares, else that of the metric."""
    return "points" if metric_unit(name) == "ratio" else "1"
