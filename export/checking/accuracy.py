"""Accuracy: how good an artifact is on held-back samples, and how much worse than PyTorch. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError, nearest
from edgekit.core.reports import report
from edgekit.core.reports.report import Accuracy
from edgekit.core.samples import LABEL, Array, Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.statistics import intervals
from edgekit.export.checking.difference import Floats
from edgekit.export.checking.sampling import run_samples
from edgekit.runtime.backend import Session

_BY_SAMPLE: Final = ("accuracy", "mae", "mse")


def measure_accuracy(session: Session, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str) -> Accuracy:
    """Quality of an artifact on held-back samples, and its drop against PyTorch, paired by sample.

    Args:
        samples: With `expected` from PyTorch, and labels (class indices) or targets where quality is wanted.
        where: What the result says of the engine: `onnxruntime`.

    Returns:
        Accuracy for labels, else the mean absolute error (`mae`, or the spec's `mse`) of the first output that has
        targets. Without either the values are null, with the reason.
    """
    return accuracy_of(lambda: run_samples(session, spec, samples), artifact, spec, samples, where)


def accuracy_of(
    answer: Callable[[], Feed], artifact: Artifact, spec: ModelSpec, samples: Samples, where: str
) -> Accuracy:
    """`measure_accuracy` of what `answer` gives for all samples: it is called where accuracy can be known."""
    metric = _metric(spec, samples)
    if not samples.is_labelled:
        return unknown_accuracy(artifact, spec, samples, where, "the samples have no labels")
    if metric not in _BY_SAMPLE:
        reason = f"'{metric}' is a metric of all samples together; it has no drop by sample"
        return unknown_accuracy(artifact, spec, samples, where, reason)
    answers = answer()
    if samples.labels is not None:
        return _classified(artifact, where, samples, answers, spec)
    return _regressed(artifact, where, metric, samples, answers)


def unknown_accuracy(artifact: Artifact, spec: ModelSpec, samples: Samples, where: str, reason: str) -> Accuracy:
    """No accuracy, and why."""
    return _unknown(artifact, where, _metric(spec, samples), reason)


def refuse_unfitting(spec: ModelSpec, samples: Samples) -> None:
    """Raise for labels or targets that the answers of PyTorch (`samples.expected`) cannot be held against.

    Raises:
        UserError: A class that the first output has no score for; a target of no output, or of another shape.
    """
    if _metric(spec, samples) not in _BY_SAMPLE:  # judged in its own way, where the model is trained
        return
    if samples.labels is not None:
        output = _class_output(spec, samples)
        count = int(np.prod(samples.expected[output].shape[1:]))
        highest = int(samples.labels.max())
        if highest >= count:
            raise UserError(
                f"'{LABEL}' holds class {highest}; output '{output}' has {count} scores a sample, counted from 0.",
                hint="numpy.savez(FILE, ..., label=class_indices)",
            )
    for name, target in samples.targets.items():
        _refuse_target(name, target, samples.expected)


def _refuse_target(name: str, target: Array, expected: Feed) -> None:
    if name not in expected:
        raise UserError(
            f"'target:{name}' is no output of the model.{nearest(name, expected)}",
            hint=f"The outputs are {', '.join(expected)}.",
        )
    # numpy would stretch (S,) against (S, 1) to (S, S), and the error would be one of unrelated pairs.
    shape = expected[name].shape
    if target.shape != shape:
        raise UserError(
            f"'target:{name}' has shape {target.shape[1:]} a sample, the output {shape[1:]}.",
            hint=f"target.reshape{(-1, *shape[1:])}",
        )


def _class_output(spec: ModelSpec, samples: Samples) -> str:
    return spec.outputs[0].name if spec.outputs else next(iter(samples.expected))


def _metric(spec: ModelSpec, samples: Samples) -> str:
    if spec.metric is not None:
        return spec.metric.name
    return "mae" if samples.targets else "accuracy"


def _unknown(artifact: Artifact, where: str, metric: str, reason: str) -> Accuracy:
    missing = report.Estimate(None, reason=reason)
    return Accuracy(artifact.recipe, where, metric, missing, missing, missing)


def _classified(artifact: Artifact, where: str, samples: Samples, answers: Feed, spec: ModelSpec) -> Accuracy:
    output = _class_output(spec, samples)
    assert samples.labels is not None
    correct = _correct(answers[output], samples.labels)
    before = _correct(samples.expected[output], samples.labels)
    drop = intervals.paired_drop(before, correct)
    quality, reference = (intervals.wilson(int(one.sum()), len(one)) for one in (correct, before))
    return Accuracy(
        artifact.recipe,
        where,
        "accuracy",
        _estimate(quality),
        _estimate(reference),
        _estimate(drop),
        drop.detectable,
    )


def _correct(scores: Array, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each sample's highest score is that of its class; scores may have more axes, which are flattened."""
    return np.asarray(scores.reshape(len(scores), -1).argmax(axis=1) == labels)


def _regressed(artifact: Artifact, where: str, metric: str, samples: Samples, answers: Feed) -> Accuracy:
    output = next(iter(samples.targets))
    errors = _row_errors(answers[output], samples.targets[output], metric)
    before = _row_errors(samples.expected[output], samples.targets[output], metric)
    if len(errors) < 2:
        return _unknown(artifact, where, metric, "an interval needs at least 2 samples")
    zero = np.zeros_like(errors)
    drop = intervals.paired_mean_difference(before, errors)
    return Accuracy(
        artifact.recipe,
        where,
        metric,
        _estimate(intervals.paired_mean_difference(zero, errors)),
        _estimate(intervals.paired_mean_difference(zero, before)),
        _estimate(drop),
        drop.detectable,
    )


def _row_errors(answer: Array, target: Array, metric: str) -> Floats:
    difference = np.asarray(answer, np.float64) - np.asarray(target, np.float64)
    error = difference**2 if metric == "mse" else np.abs(difference)
    return np.asarray(error.reshape(len(error), -1).mean(axis=1))


def _estimate(found: intervals.Interval) -> report.Estimate:
    return report.Estimate(found.value, found.low, found.high, found.n)
