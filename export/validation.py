"""Validation: an artifact in the engine that will run it, against the outputs PyTorch gave. Needs numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edgekit.core import report, statistics
from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, VerdictFailed
from edgekit.core.report import Accuracy, ParityCheck
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.verdict import Verdict
from edgekit.export.cases import Case
from edgekit.export.signatures import fits
from edgekit.runtime.backend import Session

Floats = NDArray[np.float64]

CHUNK: Final = 64


@dataclass(frozen=True)
class Tolerance:
    """What an artifact of one precision may differ by.

    `difference` bounds the largest absolute difference, as a share of the output's range. `sqnr_db` is the least
    signal-to-quantization-noise ratio instead. `agreement` is the least share of equal answers: the top-1 class of
    classifiers, and every value of integer outputs.
    """

    difference: float | None
    sqnr_db: float | None
    agreement: float


# The one table of tolerances: the same for every model, format and engine.
TOLERANCES: Final = {
    "fp32": Tolerance(difference=1e-4, sqnr_db=None, agreement=0.999),
    "fp16": Tolerance(difference=1e-2, sqnr_db=None, agreement=0.98),
    "int8": Tolerance(difference=None, sqnr_db=20.0, agreement=0.98),
}
# From this many samples on the agreement itself is judged, below it the interval.
ENOUGH: Final = 500


def check_artifact(
    session: Session, artifact: Artifact, spec: ModelSpec, samples: Samples, cases: Iterable[Case], where: str
) -> tuple[ParityCheck, ...]:
    """Parity of an artifact on samples and cases, one check an output.

    Args:
        session: The artifact, opened by the engine that will run it.
        samples: With `expected` from PyTorch.
        where: What the checks say of the engine: `local/onnxruntime`.

    Returns:
        Checks, failing ones included: an engine that refuses a case gives a failing check with its words.
    """
    whole = Case("samples", {}, samples.inputs, samples.expected)
    scales = {name: _Scale.of(array) for name, array in samples.expected.items()}
    checks = [*_case_checks(whole, lambda: run_samples(session, spec, samples), artifact, spec, scales, where)]
    for case in cases:
        if _applies(case, artifact, spec):
            checks += _case_checks(case, _runner(session, case), artifact, spec, scales, where)
    return tuple(checks)


def compare_outputs(
    artifact: Artifact, spec: ModelSpec, got: Feed, samples: Samples, *, where: str, case: str = "samples"
) -> tuple[ParityCheck, ...]:
    """Parity of outputs that were computed elsewhere, `{name: (S, ...)}`, with `samples.expected`."""
    whole = Case(case, {}, samples.inputs, samples.expected)
    scales = {name: _Scale.of(array) for name, array in samples.expected.items()}
    return tuple(_case_checks(whole, lambda: got, artifact, spec, scales, where))


def run_samples(session: Session, spec: ModelSpec, samples: Samples) -> Feed:
    """What the session answers for every sample: `{name: (S, ...)}`."""
    answers: list[Feed] = []
    if spec.batch_axis is None:
        for row in range(len(samples)):
            outputs = session.run({name: array[row] for name, array in samples.inputs.items()})
            answers.append({name: array[np.newaxis] for name, array in outputs.items()})
    else:
        for start in range(0, len(samples), CHUNK):
            answers.append(session.run({name: a[start : start + CHUNK] for name, a in samples.inputs.items()}))
    return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}


def require_parity(checks: Iterable[ParityCheck]) -> None:
    """Raise for the first failing check.

    Raises:
        VerdictFailed: Names artifact, output, case and sample.
    """
    for check in checks:
        if check.verdict is Verdict.FAIL:
            raise VerdictFailed(describe(check))


def describe(check: ParityCheck) -> str:
    """One sentence for a check."""
    start = f"Artifact '{check.artifact}' differs from PyTorch: output '{check.output}' on case '{check.case}'"
    if check.value is None:
        return f"{start}: {check.reason}."
    value = {
        "difference": f"is off by {check.value:.3g} (limit {check.limit:.3g})",
        "sqnr": f"has {check.value:.1f} dB (at least {check.limit:g} dB)",
        "agreement": f"agrees in {check.value:.1%} (at least {check.limit:.1%})",
    }[check.kind]
    place = "" if check.sample is None else f", most on sample {check.sample} of {check.samples}"
    return f"{start} {value}{place}."


@dataclass(frozen=True)
class _Scale:
    """What one output looks like over all samples: its range, and its mean power."""

    span: float
    power: float

    @classmethod
    def of(cls, array: Array) -> _Scale:
        values = np.asarray(array, dtype=np.float64)
        values = values[np.isfinite(values)]
        if not values.size:
            return cls(1.0, 0.0)
        span = float(values.max() - values.min()) or float(np.abs(values).max()) or 1.0
        return cls(span, float(np.mean(values**2)))


def _applies(case: Case, artifact: Artifact, spec: ModelSpec) -> bool:
    # Made-up inputs lie outside the ranges a quantized artifact was calibrated for.
    if case.is_extreme and TOLERANCES[artifact.precision].sqnr_db is not None:
        return False
    return fits(artifact.signatures, case.sizes, spec)


def _runner(session: Session, case: Case) -> Callable[[], Feed]:
    return lambda: session.run(dict(case.feed))


def _case_checks(
    case: Case, run: Callable[[], Feed], artifact: Artifact, spec: ModelSpec, scales: dict[str, _Scale], where: str
) -> Iterator[ParityCheck]:
    tolerance = TOLERANCES[artifact.precision]
    try:
        answers = run()
    except (EdgekitError, RuntimeError, ValueError) as err:
        reason = f"the engine refuses it: {str(err).strip().splitlines()[0]}"
        yield from (_refused(case, name, reason, artifact, tolerance, where) for name in case.expected)
        return
    for name, expected in case.expected.items():
        answer = answers.get(name)
        problem = _problem(name, expected, answer, answers)
        if problem or answer is None:
            yield _refused(case, name, problem, artifact, tolerance, where)
            continue
        yield _compare(case, name, expected, answer, scales[name], artifact, where)
        if _is_classification(spec, name, expected) and tolerance.sqnr_db is not None and not case.sizes:
            yield _top1(case, name, expected, answer, artifact, where)


def _problem(name: str, expected: Array, answer: Array | None, answers: Feed) -> str:
    if answer is None:
        return f"the engine gives {', '.join(answers)}"
    if answer.shape != expected.shape:
        return f"the shape is {answer.shape}, PyTorch gives {expected.shape}"
    return ""


def _refused(case: Case, output: str, reason: str, artifact: Artifact, tolerance: Tolerance, where: str) -> ParityCheck:
    kind = "difference" if tolerance.sqnr_db is None else "sqnr"
    limit = tolerance.difference if tolerance.sqnr_db is None else tolerance.sqnr_db
    return ParityCheck(
        artifact.recipe,
        where,
        case.name,
        output,
        kind,
        None,
        limit or 0.0,
        Verdict.FAIL,
        reason=reason,
        samples=_rows(case),
    )


def _compare(
    case: Case, name: str, expected: Array, answer: Array, scale: _Scale, artifact: Artifact, where: str
) -> ParityCheck:
    tolerance = TOLERANCES[artifact.precision]
    reference, values = np.asarray(expected, np.float64), np.asarray(answer, np.float64)
    error = _error(reference, values)
    common: dict[str, Any] = {
        "max_abs": _finite(error.max(initial=0.0)),
        "mean_abs": _finite(error.mean()) if error.size else 0.0,
        "sqnr_db": _sqnr(reference, error, 0.0),
        "sample": _worst_row(error, case),
        "samples": _rows(case),
    }
    make = _Maker(artifact.recipe, where, case.name, name)
    if not np.issubdtype(expected.dtype, np.floating):
        return make.at_least("agreement", float(np.mean(error == 0)), tolerance.agreement, common)
    if tolerance.difference is not None:
        limit = tolerance.difference * max(scale.span, _Scale.of(expected).span if case.is_extreme else 0.0)
        return make.at_most("difference", float(error.max(initial=0.0)), limit, common)
    assert tolerance.sqnr_db is not None
    # The power of all samples stands in for a case with little signal of its own.
    return make.at_least("sqnr", _sqnr(reference, error, scale.power), tolerance.sqnr_db, common)


@dataclass(frozen=True)
class _Maker:
    """Builds the checks of one output."""

    artifact: str
    where: str
    case: str
    output: str

    def at_most(self, kind: str, value: float, limit: float, common: dict[str, Any]) -> ParityCheck:
        return self._check(kind, value, limit, value <= limit, common)

    def at_least(self, kind: str, value: float | None, limit: float, common: dict[str, Any]) -> ParityCheck:
        return self._check(kind, value, limit, value is None or value >= limit, common)

    def _check(self, kind: str, value: float | None, limit: float, good: bool, common: dict[str, Any]) -> ParityCheck:
        verdict = Verdict.PASS if good else Verdict.FAIL
        reason = "no difference" if value is None else "" if np.isfinite(value) else "an output is not finite"
        shown = None if value is None or not np.isfinite(value) else value
        return ParityCheck(
            self.artifact,
            self.where,
            self.case,
            self.output,
            kind,
            shown,
            limit,
            verdict,
            reason=reason,
            **common,
        )


def _error(reference: Floats, values: Floats) -> Floats:
    """Absolute difference; equal infinities and not-a-numbers are no difference, any other is infinite."""
    with np.errstate(invalid="ignore"):
        error = np.abs(values - reference)
    same = (values == reference) | (np.isnan(values) & np.isnan(reference))
    error[same] = 0.0
    error[np.isnan(error)] = np.inf
    return error


def _sqnr(reference: Floats, error: Floats, least_power: float) -> float | None:
    """Signal over noise in dB; None without noise, minus infinity for an infinite error."""
    noise = float(np.mean(error**2)) if error.size else 0.0
    if noise == 0.0:
        return None
    finite = reference[np.isfinite(reference)]
    power = max(float(np.mean(finite**2)) if finite.size else 0.0, least_power)
    with np.errstate(divide="ignore"):
        return _finite(10 * np.log10(power / noise)) if np.isfinite(noise) and power > 0 else float("-inf")


def _worst_row(error: Floats, case: Case) -> int | None:
    if not error.size or not error.any():
        return None
    if not error.ndim or _rows(case) <= 1:
        return 0
    return int(np.argmax(error.reshape(len(error), -1).max(axis=1)))


def _rows(case: Case) -> int:
    array = next(iter(case.feed.values()))
    return len(array) if array.ndim else 1


def _finite(value: float) -> float:
    return float(value)


def _is_classification(spec: ModelSpec, output: str, expected: Array) -> bool:
    first = spec.outputs[0].name if spec.outputs else output
    return spec.task == "classification" and output == first and expected.ndim == 2 and expected.shape[1] > 1


def _top1(case: Case, name: str, expected: Array, answer: Array, artifact: Artifact, where: str) -> ParityCheck:
    limit = TOLERANCES[artifact.precision].agreement
    same = expected.argmax(axis=1) == answer.argmax(axis=1)
    estimate = statistics.wilson(int(same.sum()), len(same))
    judged = estimate.value if len(same) >= ENOUGH else estimate.high
    verdict = Verdict.PASS if judged >= limit else Verdict.FAIL
    reason = "" if len(same) >= ENOUGH else f"{len(same)} samples: the interval up to {estimate.high:.1%} is judged"
    worst = None if same.all() else int(np.argmin(same))
    return ParityCheck(
        artifact.recipe,
        where,
        case.name,
        name,
        "agreement",
        estimate.value,
        limit,
        verdict,
        sample=worst,
        samples=len(same),
        reason=reason,
    )


def measure_accuracy(session: Session, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str) -> Accuracy:
    """Quality of an artifact on held-back samples, and its drop against PyTorch, paired by sample.

    Args:
        samples: With `expected` from PyTorch, and labels (class indices) or targets where quality is wanted.
    """
    metric = spec.metric.name if spec.metric else ("accuracy" if samples.labels is not None else "mae")
    if not samples.is_labelled:
        reason = "the samples have no labels"
        missing = report.Estimate(None, reason=reason)
        return Accuracy(artifact.recipe, where, metric, missing, missing, missing)
    answers = run_samples(session, spec, samples)
    if samples.labels is not None:
        return _classified(artifact, where, samples, answers, spec)
    return _regressed(artifact, where, metric, samples, answers)


def _classified(artifact: Artifact, where: str, samples: Samples, answers: Feed, spec: ModelSpec) -> Accuracy:
    output = spec.outputs[0].name if spec.outputs else next(iter(samples.expected))
    assert samples.labels is not None
    correct = _correct(answers[output], samples.labels)
    before = _correct(samples.expected[output], samples.labels)
    drop = statistics.paired_drop(before, correct)
    return Accuracy(
        artifact.recipe,
        where,
        "accuracy",
        _estimate(statistics.wilson(int(correct.sum()), len(correct))),
        _estimate(statistics.wilson(int(before.sum()), len(before))),
        _estimate(drop),
        drop.detectable,
    )


def _correct(scores: Array, labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    classes = scores.reshape(len(scores), -1)
    return np.asarray(classes.argmax(axis=1) == labels)


def _regressed(artifact: Artifact, where: str, metric: str, samples: Samples, answers: Feed) -> Accuracy:
    output = next(iter(samples.targets))
    errors = _row_errors(answers[output], samples.targets[output], metric)
    before = _row_errors(samples.expected[output], samples.targets[output], metric)
    if len(errors) < 2:
        missing = report.Estimate(None, n=len(errors), reason="an interval needs at least 2 samples")
        return Accuracy(artifact.recipe, where, metric, missing, missing, missing)
    zero = np.zeros_like(errors)
    drop = statistics.paired_mean_difference(before, errors)
    return Accuracy(
        artifact.recipe,
        where,
        metric,
        _estimate(statistics.paired_mean_difference(zero, errors)),
        _estimate(statistics.paired_mean_difference(zero, before)),
        _estimate(drop),
        drop.detectable,
    )


def _row_errors(answer: Array, target: Array, metric: str) -> Floats:
    difference = np.asarray(answer, np.float64) - np.asarray(target, np.float64)
    error = difference**2 if metric == "mse" else np.abs(difference)
    return np.asarray(error.reshape(len(error), -1).mean(axis=1))


def _estimate(found: statistics.Estimate) -> report.Estimate:
    return report.Estimate(found.value, found.low, found.high, found.n)
