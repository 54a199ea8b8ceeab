"""Validation: an artifact on the backend that will run it, compared with PyTorch's outputs. Needs only numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.statistics.intervals import wilson
from edgekit.core.verdict import Verdict
from edgekit.export.checking.accuracy import accuracy_of, unknown_accuracy
from edgekit.export.checking.cases import Case
from edgekit.export.checking.difference import Difference, Magnitude
from edgekit.export.checking.parts import Part, parts_of
from edgekit.export.checking.same_samples import STEADY, AmongAll, SameSamples, eased
from edgekit.export.checking.sampling import run_samples
from edgekit.export.checking.tolerance import (
    NOISE_FACTOR,
    QUANTIZED,
    TOLERANCES,
    UNSTABLE,
    Tolerance,
    tolerance_of,
)
from edgekit.export.graphs.joins import REMEDY
from edgekit.export.shapes.signatures import fits
from edgekit.runtime.backend import Session

# From this many samples on the agreement itself is judged, below it the upper end of its interval.
ENOUGH: Final = 500
# The case that holds all samples.
WHOLE: Final = "samples"
_MADE_UP: Final = "not judged: invented input, which no sample resembles"


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

    judge = _Judge.of(artifact, spec, samples, where, answers=answers)
    checks = _checks(judge, session, samples, cases, run)
    problems = [problem for name, array in samples.expected.items() if (problem := _problem(name, array, answers))]
    if problems:
        return checks, unknown_accuracy(
            artifact, spec, samples, where, "its outputs do not have PyTorch's names and shapes"
        )
    return checks, accuracy_of(lambda: answers, artifact, spec, samples, where)


def _checks(
    judge: _Judge, session: Session, samples: Samples, cases: Iterable[Case], run: Callable[[], Feed]
) -> tuple[ParityCheck, ...]:
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
    """Judges the outputs of one artifact by the tolerance of its precision and the scales of the reference outputs.

    `noise` is the deviation of the reference from itself on the first samples.
    """

    artifact: Artifact
    spec: ModelSpec
    scales: dict[str, Magnitude]
    parts: dict[str, tuple[Part, ...]]
    noise: Feed
    where: str
    whole: str
    known: SameSamples

    @classmethod
    def of(
        cls,
        artifact: Artifact,
        spec: ModelSpec,
        samples: Samples,
        where: str,
        whole: str = WHOLE,
        answers: Feed | None = None,
    ) -> _Judge:
        outputs = samples.expected
        scales = {name: Magnitude.of(array) for name, array in outputs.items()}
        parts = {name: parts_of(array) for name, array in outputs.items()}
        known = SameSamples(spec, samples, {} if answers is None else answers)
        return cls(artifact, spec, scales, parts, samples.noise, where, whole, known)

    @property
    def tolerance(self) -> Tolerance:
        return tolerance_of(self.artifact.precision)

    @property
    def is_quantized(self) -> bool:
        return self.artifact.precision in QUANTIZED or self.artifact.precision not in TOLERANCES

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
        if not np.issubdtype(expected.dtype, np.floating):
            yield self._equal(case, name, Difference.between(expected, answer))
        else:
            yield self._values(case, name, expected, answer)
        if self.is_quantized and case.name == self.whole and self._holds_classes(name, expected):
            yield self._same_class(case, name, expected, answer)

    def _values(self, case: Case, name: str, expected: Array, answer: Array) -> ParityCheck:
        """The part of a float output that is worst in relation to its limit; the output itself is the first part."""
        noise = case.noise.get(name, self.noise.get(name) if not case.is_extreme else None)
        known = self.known.of(case, name) if case.name != self.whole else None
        found = [self._region(case, name, self.scales[name], expected, answer, noise, known)]
        for part in self.parts.get(name, ()):
            there, here = part.of(expected), part.of(answer)
            if there is not None and here is not None:
                own = None if noise is None else part.of(noise)
                known_part = None if known is None else known.of(part)
                label = f"{name}{part.name}"
                found.append(self._region(case, label, part.magnitude, there, here, own, known_part, part=True))
        worst = max(found, key=lambda one: one.excess).check
        if worst.output == name or worst.verdict is not Verdict.FAIL or not self.is_quantized:
            return worst
        return structs.replace(worst, reason=f"the scale of this part is unlike the rest: {REMEDY}")

    def _region(
        self,
        case: Case,
        label: str,
        scale: Magnitude,
        expected: Array,
        answer: Array,
        noise: Array | None,
        known: AmongAll | None,
        *,
        part: bool = False,
    ) -> _Region:
        if not expected.size:
            return _Region(-math.inf, self._not_judged(case, label, "the output has no values here"))
        # Inputs that no sample has can give outputs far beyond those of the samples, with errors to match.
        span = max(scale.span, Magnitude.of(expected).span if case.is_extreme else 0.0)
        rows = _row_noise(noise, expected, has_rows=self._has_rows(case, label))
        unstable = NOISE_FACTOR * rows > UNSTABLE * span
        if len(rows) and unstable.all():
            return _Region(-math.inf, self._not_judged(case, label, _unstable(float(rows.min()) / span)))
        unsteady = NOISE_FACTOR * float(rows[~unstable].max(initial=0.0))
        difference = Difference.between(expected, _excused(answer, expected, unstable))
        if self.tolerance.difference is not None:
            region = self._near(case, label, difference, max(self.tolerance.difference * span, unsteady))
        else:
            limit = self.tolerance.part_db if part else self.tolerance.sqnr_db
            region = self._clear(case, label, difference, limit, scale.power, known)
        if (
            region.check.verdict is Verdict.FAIL
            and case.is_extreme
            and not self._is_gross(difference, noise, scale.power)
        ):
            check = structs.replace(region.check, verdict=Verdict.INCONCLUSIVE, reason=_MADE_UP)
            return _Region(-math.inf, check)
        if unstable.any() and not region.check.reason:
            left_out = f"{unstable.sum()} of {case.rows} samples were not judged: the reference is unstable there"
            return _Region(region.excess, structs.replace(region.check, reason=left_out))
        return region

    def _has_rows(self, case: Case, label: str) -> bool:
        """Whether the first axis of an output, or of a part of it, holds samples."""
        if case.name == self.whole or self.spec.batch_axis is None:
            return case.name == self.whole
        places = [self.spec.batch_place(one) for one in self.spec.outputs if label.startswith(one.name)]
        return all(place == 0 for place in places)

    def _is_gross(self, difference: Difference, noise: Array | None, least_power: float) -> bool:
        """Whether invented inputs alone fail an artifact: the reference is known to be stable, the difference large."""
        value = difference.sqnr_db(least_power)
        return noise is not None and value is not None and value < self.tolerance.gross_db

    def _near(self, case: Case, label: str, difference: Difference, limit: float) -> _Region:
        value = difference.largest
        check = self._check(case, label, "difference", value, limit, value <= limit, **_facts(case, difference))
        return _Region(value / limit if limit else math.inf, check)

    def _clear(
        self, case: Case, label: str, difference: Difference, limit: float, least_power: float, known: AmongAll | None
    ) -> _Region:
        # The power of all samples stands in for a case with little signal of its own.
        value, facts = difference.sqnr_db(least_power), _facts(case, difference)
        if value is not None and value < limit and (lower := eased(limit, known, least_power)) < limit:
            limit, facts["reason"] = lower, STEADY if value >= lower else ""
        good = value is None or value >= limit
        check = self._check(case, label, "sqnr", value, limit, good, **facts)
        return _Region(-math.inf if value is None else limit - value, check)

    def _equal(self, case: Case, name: str, difference: Difference) -> ParityCheck:
        """Integers: near ties may fall to the other side, so a share of them is judged, and no single one."""
        if not difference.error.size:
            return self._not_judged(case, name, "the output has no values here")
        count = difference.error.size
        share, limit = difference.equal_share, self.tolerance.agreement
        if self.is_quantized and case.name != self.whole:
            return self._not_judged(case, name, "one case has too few integers to judge a quantized artifact")
        good, reason = _reaches(round(share * count), count, limit)
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

    def _limit(self, name: str) -> tuple[str, float]:
        share = self.tolerance.difference
        return ("sqnr", self.tolerance.sqnr_db) if share is None else ("difference", share * self.scales[name].span)

    def _refused(self, case: Case, name: str, reason: str) -> ParityCheck:
        kind, limit = self._limit(name)
        return self._check(case, name, kind, None, limit, False, reason=reason, samples=case.rows)

    def _not_judged(self, case: Case, label: str, reason: str) -> ParityCheck:
        kind, limit = self._limit(label.partition("[")[0])
        recipe, samples = self.artifact.recipe, case.rows
        reason = f"not judged: {reason}"
        return ParityCheck(
            recipe,
            self.where,
            case.name,
            label,
            kind,
            None,
            limit,
            Verdict.INCONCLUSIVE,
            samples=samples,
            reason=reason,
        )

    def _check(
        self, case: Case, name: str, kind: str, value: float | None, limit: float, good: bool, **facts: Any
    ) -> ParityCheck:
        if value is None and good:
            facts["reason"] = "no difference"
        elif value is not None and not np.isfinite(value):
            value, facts["reason"] = None, "an output is not finite"
        verdict = Verdict.PASS if good else Verdict.FAIL
        return ParityCheck(self.artifact.recipe, self.where, case.name, name, kind, value, limit, verdict, **facts)


@dataclass(frozen=True)
class _Region:
    """The check of an output or of one part of it, and how far it is beyond its limit, to tell the worst."""

    excess: float
    check: ParityCheck


def _row_noise(noise: Array | None, expected: Array, *, has_rows: bool) -> NDArray[np.float64]:
    """The largest deviation of each row of `expected`, as far as they were measured; without rows, of all of it."""
    if noise is None or not noise.size:
        return np.zeros(0)
    if not has_rows:  # the deviation is that of this feed, or of one sample a row, of which the feed is the first
        noise, expected = (noise[:1] if noise.ndim > expected.ndim else noise[None]), expected[None]
    largest: NDArray[np.float64] = np.asarray(noise, np.float64).reshape(len(noise), -1).max(axis=1)
    return largest[: len(expected)]


def _excused(answer: Array, expected: Array, unstable: NDArray[np.bool_]) -> Array:
    """The output, right by definition in the rows that are not judged."""
    if not unstable.any():
        return answer
    judged = answer.copy()
    places = np.flatnonzero(unstable)
    judged[places] = expected[places]
    return judged


def _unstable(share: float) -> str:
    return f"the reference is unstable here: computed another way, it differs by {share:.1g} of its range"


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
