"""The quality of outputs with its interval, and what is lost between two of them: by sample, or over all samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.metric import metric_traits
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import LabelsOutput
from edgekit.core.statistics import intervals
from edgekit.core.statistics.bootstrap import Statistic, bootstrap_difference, bootstrap_interval
from edgekit.core.statistics.by_sample import by_sample, fitting, over_all
from edgekit.core.statistics.intervals import Interval

# Samples that an interval needs.
FEWEST: Final = 2


@dataclass(frozen=True)
class SampleQuality:
    """The metric of the outputs of S samples: the mean of a value of each, `values` (S,), or `statistic` of them all.

    Values that are truth values are hits and misses.
    """

    metric: str
    count: int
    values: Array | None = None
    statistic: Statistic | None = None

    def interval(self) -> Interval | None:
        """Wilson's interval of hits, Student's of other values, the bootstrap of a statistic; None of too few."""
        if self.values is not None and self.values.dtype == np.bool_:
            return intervals.wilson(int(self.values.sum()), self.count)
        if self.count < FEWEST:
            return None
        if self.statistic is not None:
            return bootstrap_interval(self.count, self.statistic)
        assert self.values is not None
        return intervals.paired_mean_difference(np.zeros(self.count), self.values)

    def drop_to(self, after: SampleQuality) -> Interval:
        """What is lost from here to other outputs of the same samples, positive if those are worse, paired."""
        better, worse = (self, after) if metric_traits(self.metric).higher_is_better else (after, self)
        if better.statistic is not None and worse.statistic is not None:
            return bootstrap_difference(self.count, better.statistic, worse.statistic)
        assert better.values is not None
        assert worse.values is not None
        if better.values.dtype == np.bool_:
            return intervals.paired_drop(better.values, worse.values)
        return intervals.paired_mean_difference(worse.values, better.values)


def quality_of(metric: str, outputs: Feed, samples: Samples, spec: ModelSpec) -> SampleQuality | None:
    """The quality of the outputs of labelled samples; None if only the model can compute it.

    A metric that does not fit the labels gives way to the usual one.

    Raises:
        UserError: What the samples say is of another output, or of another shape.
    """
    whole = over_all(metric)
    if whole is not None:
        return SampleQuality(metric, len(samples), statistic=whole(outputs, samples, spec))
    if by_sample(metric) is None:
        return None
    fitted = fitting(metric, classes=samples.labels is not None)
    function = by_sample(fitted)
    assert function is not None
    name, truth = _truth(samples, spec)
    _refuse_other(name, truth, outputs, is_classes=samples.labels is not None)
    return SampleQuality(fitted, len(samples), np.asarray(function(_judged(outputs[name], spec), truth)))


def _judged(scores: Array, spec: ModelSpec) -> Array:
    """The scores of the classes, (S, 2) for a network that has one score for both: class 1 is above the threshold."""
    how = spec.postprocessing
    if not isinstance(how, LabelsOutput) or scores.size != len(scores):
        return scores
    return np.stack([np.full(len(scores), how.threshold), scores.reshape(-1).astype(np.float64)], axis=1)


def class_output(spec: ModelSpec, samples: Samples) -> str:
    """The output with the class scores."""
    return spec.outputs[0].name if spec.outputs else next(iter(samples.expected))


def _refuse_other(name: str, truth: Array, outputs: Feed, *, is_classes: bool) -> None:
    """Raise for what is true of something else: a bundle may come from a stranger."""
    if name not in outputs:
        raise UserError(f"The samples have values of '{name}', which is not an output; these are {', '.join(outputs)}.")
    shape = outputs[name].shape
    if (shape[:1] if is_classes else shape) != truth.shape:
        raise UserError(f"The samples have values of the shape {truth.shape} for '{name}', which has {shape}.")
    if is_classes and not outputs[name].size:
        raise UserError(f"Output '{name}' has the shape {shape}: it scores no class.")


def _truth(samples: Samples, spec: ModelSpec) -> tuple[str, Array]:
    """The output that is judged, and what it should be."""
    if samples.labels is not None:
        return class_output(spec, samples), samples.labels
    return next(iter(samples.targets.items()))
