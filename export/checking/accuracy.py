"""Accuracy: how good an artifact is on held-out samples, and how much worse than PyTorch. Needs only numpy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
from msgspec import structs

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError, nearest
from edgekit.core.reports import report
from edgekit.core.reports.report import Accuracy
from edgekit.core.samples import LABEL, Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics import intervals
from edgekit.core.statistics.by_sample import by_sample, fitting, over_all
from edgekit.export.checking.sampling import run_samples
from edgekit.export.checking.tasks.quality import class_output, quality_of
from edgekit.runtime.backend import Session

_TOO_FEW: Final = "an interval needs at least 2 samples"
# Why a file from elsewhere has no drop.
_ALONE: Final = "the file has no reference"
# Why the quality of an untrained network is not measured.
_UNTRAINED: Final = "the weights are a random initialisation"


def measure_accuracy(session: Session, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str) -> Accuracy:
    """SampleQuality of an artifact on held-out samples, and its drop relative to PyTorch, paired by sample.

    Args:
        samples: With `expected` from PyTorch, and labels (class indices) or targets if quality is to be measured.
        where: The name of the backend for the result: `onnxruntime`.

    Returns:
        The spec's metric of the first output (that has targets); if the spec has none, `accuracy` of labels or `mae`
        of targets. Without labels and targets the values are null, with the reason.
    """
    return accuracy_of(lambda: run_samples(session, spec, samples), artifact, spec, samples, where)


def accuracy_of(run: Callable[[], Feed], artifact: Artifact, spec: ModelSpec, samples: Samples, where: str) -> Accuracy:
    """`measure_accuracy` of the outputs that `run` returns for all samples; it is called only if they can be judged."""
    metric = _metric(spec, samples)
    if spec.is_untrained:
        return unknown_accuracy(artifact, spec, samples, where, _UNTRAINED)
    if not samples.is_labelled:
        return unknown_accuracy(artifact, spec, samples, where, "the samples have no labels")
    if not _is_known(metric):
        reason = f"'{metric}' is computed over all samples together, so there is no drop per sample"
        return unknown_accuracy(artifact, spec, samples, where, reason)
    return _compared(artifact, spec, samples, run(), where)


def with_quality(accuracy: Accuracy, session: Session, spec: ModelSpec, samples: Samples) -> Accuracy:
    """`accuracy` with the quality on other samples, which have no reference outputs: its drop stays as it is."""
    metric = _metric(spec, samples)
    if accuracy.quality.value is None or not samples.is_labelled or not _is_known(metric):
        return accuracy
    outputs = run_samples(session, spec, samples)
    found = quality_of(metric, outputs, dataclasses.replace(samples, expected=outputs), spec)
    assert found is not None
    missing = report.Estimate(None, reason="the reference outputs of these samples are not in the bundle")
    return structs.replace(accuracy, quality=_estimate(found.interval()), reference=missing)


def quality_alone(artifact: Artifact, spec: ModelSpec, samples: Samples, where: str) -> Accuracy:
    """The quality of a file from elsewhere, whose outputs are the `expected` of labelled samples; it has no drop.

    Raises:
        UserError: The labels or targets do not fit the outputs.
    """
    found = quality_of(_metric(spec, samples), samples.expected, samples, spec)
    assert found is not None  # a metric that only its model computes belongs to a reference model
    missing = report.Estimate(None, reason=_ALONE)
    return Accuracy(artifact.recipe, where, found.metric, _estimate(found.interval()), missing, missing)


def metric_of(spec: ModelSpec, samples: Samples) -> str:
    """The metric of a model on these samples; empty if they have no labels."""
    if not samples.is_labelled:
        return ""
    metric = _metric(spec, samples)
    return fitting(metric, classes=samples.labels is not None) if by_sample(metric) else metric


def unknown_accuracy(artifact: Artifact, spec: ModelSpec, samples: Samples, where: str, reason: str) -> Accuracy:
    """No accuracy, and why."""
    return _unknown(artifact, where, _metric(spec, samples), reason)


def refuse_unfitting(spec: ModelSpec, samples: Samples) -> None:
    """Raise for labels or targets that cannot be compared with PyTorch's outputs (`samples.expected`).

    Raises:
        UserError: The first output has no score for a class; a target names no output, or has a different shape.
    """
    if by_sample(_metric(spec, samples)) is None:  # judged in its own way, where the model is trained
        return
    if samples.labels is not None:
        _refuse_labels(spec, samples, samples.labels)
    for name, target in samples.targets.items():
        _refuse_target(name, target, samples.expected)


def _refuse_labels(spec: ModelSpec, samples: Samples, labels: Array) -> None:
    output = class_output(spec, samples)
    count = int(np.prod(samples.expected[output].shape[1:]))
    lowest, highest = int(labels.min()), int(labels.max())
    if count == 1 and highest == 1:  # one score for two classes
        return
    if highest >= count:
        values = "label=label - 1" if (lowest, highest) == (1, count) else "label=class_indices"
        raise UserError(
            f"'{LABEL}' contains class {highest}; output '{output}' has {count} scores per sample, counted from 0.",
            hint=f"numpy.savez(FILE, ..., {values})",
        )
    # A reference model knows its classes; those of a user's samples may be a few of those that the network knows.
    if spec.metric is None and spec.labels and len(spec.labels) != count:
        raise UserError(
            f"There are {len(spec.labels)} class names, but output '{output}' has {count} scores per sample.",
            hint="--labels FILE with one class per line, in the order of the scores",
        )


def _refuse_target(name: str, target: Array, expected: Feed) -> None:
    if name not in expected:
        raise UserError(
            f"'target:{name}' is not an output of the model.{nearest(name, expected)}",
            hint=f"The outputs are {', '.join(expected)}.",
        )
    # numpy would stretch (S,) against (S, 1) to (S, S), and the error would be one of unrelated pairs.
    shape = expected[name].shape
    if target.shape != shape:
        raise UserError(
            f"'target:{name}' has shape {target.shape[1:]} per sample, the output {shape[1:]}.",
            hint=f"target.reshape{(-1, *shape[1:])}",
        )


def _metric(spec: ModelSpec, samples: Samples) -> str:
    if spec.metric is not None:
        return spec.metric.name
    return "mae" if samples.targets else "accuracy"


def _unknown(artifact: Artifact, where: str, metric: str, reason: str) -> Accuracy:
    missing = report.Estimate(None, reason=reason)
    return Accuracy(artifact.recipe, where, metric, missing, missing, missing)


def _is_known(metric: str) -> bool:
    """Whether the metric can be computed from outputs and samples alone."""
    return by_sample(metric) is not None or over_all(metric) is not None


def _compared(artifact: Artifact, spec: ModelSpec, samples: Samples, outputs: Feed, where: str) -> Accuracy:
    """The metric of the outputs and of PyTorch's, and their difference over the same samples."""
    metric = _metric(spec, samples)
    before, after = (quality_of(metric, feed, samples, spec) for feed in (samples.expected, outputs))
    assert before is not None
    assert after is not None
    reference, quality = before.interval(), after.interval()
    if reference is None or quality is None:
        return _unknown(artifact, where, after.metric, _TOO_FEW)
    drop = before.drop_to(after)
    figures = _estimate(quality), _estimate(reference), _estimate(drop)
    return Accuracy(artifact.recipe, where, after.metric, *figures, drop.detectable)


def _estimate(found: intervals.Interval | None) -> report.Estimate:
    if found is None:
        return report.Estimate(None, reason=_TOO_FEW)
    return report.Estimate(found.value, found.low, found.high, found.n)
