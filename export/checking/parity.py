"""Validation: an artifact on the backend that will run it, compared with PyTorch's outputs. Needs only numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.core.statistics.intervals import wilson
from edgekit.core.verdict import Verdict
from edgekit.export.checking.accuracy import accuracy_of, unknown_accuracy
from edgekit.export.checking.cases import Case
from edgekit.export.checking.difference import Difference, Magnitude
from edgekit.export.checking.sampling import run_samples
from edgekit.export.shapes.signatures import fits
from edgekit.runtime.backend import Session


@dataclass(frozen=True)
class Tolerance:
    """How much an artifact of one precision may differ from the reference.

    `difference` bounds the largest absolute difference, as a share of the output's range over all samples. Where it
    is None, `sqnr_db` is the least signal-to-noise ratio instead. `agreement` is the least share of equal results:
    top-1 classes of quantized classifiers, and every value of integer outputs.
    """

    difference: float | None
    sqnr_db: float | None
    agreement: float


# The one table of tolerances: the same for every model, format and backend.
TOLERANCES: Final = {
    "fp32": Tolerance(difference=1e-4, sqnr_db=None, agreement=0.999),
    "fp16": Tolerance(difference=1e-2, sqnr_db=None, agreement=0.98),
    "int8": Tolerance(difference=None, sqnr_db=20.0, agreement=0.98),
    # 15 steps over three standard deviations leave 18.8 dB of a weight; eight such layers in a row add their errors.
    "int4": Tolerance(difference=None, sqnr_db=18.8 - 9.0, agreement=0.95),
}
# From this many samples on the agreement itself is judged, below it the upper end of its interval.
ENOUGH: Final = 500
# The case that holds all samples.
WHOLE: Final = "samples"


def validate_artifact(
    session: Session, artifact: Artifact, spec: ModelSpec, samples: Samples, cases: Iterable[Case], where: str
) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    """Parity on samples and cases, one check per output, and accuracy, from one run over the samples.

    Args:
        session: The artifact, opened by the backend that will run it.
        samples: With `expected` from PyTorch.
        cases: Skipped where the artifact has no signature for their sizes.
        where: The name of the backend for the checks: `onnxruntime`.

    Returns:
        Checks, failing ones included: a case that the backend cannot run becomes a failing check with its message.
        Accuracy is null if the backend cannot run the samples, or if outputs lack PyTorch's names and shapes.
    """
    answers: Feed = {}

    def run() -> Feed:
        answers.update(run_samples(session, spec, samples))
        return answers

    checks = _checks(session, artifact, spec, samples, cases, where, run)
    problems = [problem for name, array in samples.expected.items() if (problem := _problem(name, array, answers))]
    if problems:
        return checks, unknown_accuracy(
            artifact, spec, samples, where, "its outputs do not have PyTorch's names and shapes"
        )
    return checks, accuracy_of(lambda: answers, artifact, spec, samples, where)


def _checks(
    session: Session,
    artifact: Artifact,
    spec: ModelSpec,
    samples: Samples,
    cases: Iterable[Case],
    where: str,
    run: Callable[[], Feed],
) -> tuple[ParityCheck, ...]:
    judge = _Judge.of(artifact, spec, samples, where)
    checks = [*judge.case(_whole(samples, WHOLE), run)]
    for case in cases:
        if judge.covers(case):
            checks += judge.case(case, _call(session, case))
    return tuple(checks)


def compare_outputs(
    artifact: Artifact, spec: ModelSpec, got: Feed, samples: Samples, *, where: str, case: str = "samples"
) -> tuple[ParityCheck, ...]:
    """Parity of outputs that were computed elsewhere, `{name: (S, ...)}`, with `samples.expected`."""
    judge = _Judge.of(artifact, spec, samples, where, whole=case)
    return tuple(judge.case(_whole(samples, case), lambda: got))


@dataclass(frozen=True)
class _Judge:
    """Judges the outputs of one artifact by the tolerance of its precision and the scale of the reference outputs."""

    artifact: Artifact
    spec: ModelSpec
    scales: dict[str, Magnitude]
    where: str
    whole: str

    @classmethod
    def of(cls, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str, whole: str = WHOLE) -> _Judge:
        return cls(
            artifact, spec, {name: Magnitude.of(array) for name, array in samples.expected.items()}, where, whole
        )

    @property
    def tolerance(self) -> Tolerance:
        # A bare file does not state its precision: it must reach what every artifact must.
        return TOLERANCES.get(self.artifact.precision, TOLERANCES["int8"])

    @property
    def is_quantized(self) -> bool:
        return self.tolerance.difference is None

    def covers(self, case: Case) -> bool:
        """True when the artifact takes the case's sizes; int8 is not calibrated for synthetic inputs."""
        return fits(self.artifact.signatures, case.sizes, self.spec) and not (case.is_extreme and self.is_quantized)

    def case(self, case: Case, run: Callable[[], Feed]) -> Iterator[ParityCheck]:
        """The checks of one case: one per output, and one for the top-1 classes of all samples."""
        try:
            answers = run()
        except (EdgekitError, RuntimeError, ValueError) as err:
            first = next(iter(str(err).strip().splitlines()), type(err).__name__)
            for name in case.expected:
                yield self._refused(case, name, f"the backend cannot run it: {first}")
            return
        for name, expected in case.expected.items():
            problem = _problem(name, expected, answers)
            if problem:
                yield self._refused(case, name, problem)
            else:
                yield from self._output(case, name, expected, answers[name])

    def _output(self, case: Case, name: str, expected: Array, answer: Array) -> Iterator[ParityCheck]:
        difference = Difference.between(expected, answer)
        if not np.issubdtype(expected.dtype, np.floating):
            yield self._equal(case, name, difference)
        elif self.tolerance.difference is not None:
            yield self._near(case, name, difference, self.tolerance.difference)
        elif self.tolerance.sqnr_db is not None:
            yield self._clear(case, name, difference, self.tolerance.sqnr_db)
        if self.is_quantized and case.name == self.whole and self._holds_classes(name, expected):
            yield self._same_class(case, name, expected, answer)

    def _near(self, case: Case, name: str, difference: Difference, share: float) -> ParityCheck:
        # Inputs that no sample has can give outputs far beyond those of the samples, with errors to match.
        span = max(self.scales[name].span, Magnitude.of(difference.reference).span if case.is_extreme else 0.0)
        limit = share * span
        good = difference.largest <= limit
        return self._check(case, name, "difference", difference.largest, limit, good, **_facts(case, difference))

    def _clear(self, case: Case, name: str, difference: Difference, limit: float) -> ParityCheck:
        # The power of all samples stands in for a case with little signal of its own.
        value = difference.sqnr_db(self.scales[name].power)
        return self._check(
            case, name, "sqnr", value, limit, value is None or value >= limit, **_facts(case, difference)
        )

    def _equal(self, case: Case, name: str, difference: Difference) -> ParityCheck:
        """Integers: near ties may fall to the other side, so a share of them is judged, and no single one."""
        count = max(difference.error.size, 1)
        share, limit = difference.equal_share, self.tolerance.agreement
        good, reason = _reaches(round(share * count), count, limit)
        if self.is_quantized and case.name != self.whole:
            good, reason = (
                True,
                "only the shape is checked: one case has too few integers to judge a quantized artifact",
            )
        return self._check(case, name, "agreement", share, limit, good, **_facts(case, difference), reason=reason)

    def _same_class(self, case: Case, name: str, expected: Array, answer: Array) -> ParityCheck:
        same = expected.argmax(axis=1) == answer.argmax(axis=1)
        good, reason = _reaches(int(same.sum()), len(same), self.tolerance.agreement)
        worst = None if same.all() else int(np.argmin(same))
        facts = {"sample": worst, "samples": len(same), "reason": reason}
        return self._check(case, name, "agreement", float(same.mean()), self.tolerance.agreement, good, **facts)

    def _holds_classes(self, name: str, expected: Array) -> bool:
        is_first = not self.spec.outputs or self.spec.outputs[0].name == name
        return self.spec.task == "classification" and is_first and expected.ndim == 2 and expected.shape[1] > 1

    def _refused(self, case: Case, name: str, reason: str) -> ParityCheck:
        kind, limit = "sqnr", self.tolerance.sqnr_db or 0.0
        if self.tolerance.difference is not None:
            kind, limit = "difference", self.tolerance.difference * self.scales[name].span
        return self._check(case, name, kind, None, limit, False, reason=reason, samples=case.rows)

    def _check(
        self, case: Case, name: str, kind: str, value: float | None, limit: float, good: bool, **facts: Any
    ) -> ParityCheck:
        if value is None and good:
            facts["reason"] = "no difference"
        elif value is not None and not np.isfinite(value):
            value, facts["reason"] = None, "an output is not finite"
        verdict = Verdict.PASS if good else Verdict.FAIL
        return ParityCheck(self.artifact.recipe, self.where, case.name, name, kind, value, limit, verdict, **facts)


def _whole(samples: Samples, name: str) -> Case:
    return Case(name, {}, samples.inputs, samples.expected, len(samples))


def _call(session: Session, case: Case) -> Callable[[], Feed]:
    return lambda: session.run(dict(case.feed))


def _problem(name: str, expected: Array, answers: Feed) -> str:
    if name not in answers:
        return f"the artifact has no such output; it returns {', '.join(answers)}"
    if answers[name].shape != expected.shape:
        return f"the shape is {answers[name].shape}, PyTorch's is {expected.shape}"
    return ""


def _facts(case: Case, difference: Difference) -> dict[str, Any]:
    return {
        "max_abs": difference.largest,
        "mean_abs": difference.mean,
        "sqnr_db": difference.sqnr_db(),
        "cosine": difference.cosine,
        "top1": difference.top1,
        "sample": difference.worst_row() if case.rows > 1 else 0 if difference.largest else None,
        "samples": case.rows,
    }


def _reaches(equal: int, count: int, limit: float) -> tuple[bool, str]:
    """Whether `equal` of `count` results reach the limit; with few of them, whether their interval does."""
    if count >= ENOUGH:
        return equal / count >= limit, ""
    high = wilson(equal, count).high
    return high >= limit, f"there are only {count} values; the interval reaches {high:.1%}"
