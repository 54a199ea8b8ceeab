"""The metric of real samples decides; parity explains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as replaced
from tests.export.checking.echo import SPEC, Make, noisy, samples

from edgekit.core.bundle import Artifact
from edgekit.core.reports.report import Accuracy, Estimate, ParityCheck
from edgekit.core.spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.artifact_checks import decided, drop_checks, with_decision, with_drop
from edgekit.export.checking.parity import validate_artifact

NOTHING = Estimate(None, reason="no labels")
UNKNOWN = Accuracy("onnx-int8", "here", "accuracy", NOTHING, NOTHING, NOTHING)


def dropped(low: float, high: float, metric: str = "accuracy") -> Accuracy:
    known = Estimate(0.9, 0.88, 0.92, 600)
    return Accuracy("onnx-int8", "here", metric, known, known, Estimate((low + high) / 2, low, high, 600))


def checks_of(session: Make, made: Artifact, share: float) -> tuple[ParityCheck, ...]:
    given = replace(samples(600), labels=samples(600).expected["y"].argmax(axis=1))
    return validate_artifact(session(noisy(share)), made, SPEC, given, [], "here")[0]


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (dropped(-0.01, 0.009), Verdict.PASS),
        (dropped(0.0, 0.02), Verdict.FAIL),  # it may be more than a point
        (dropped(0.0, 0.015, "mae"), Verdict.PASS),  # 1.7 % of an error of 0.9
        (dropped(0.0, 0.02, "mae"), Verdict.FAIL),
        (UNKNOWN, Verdict.FAIL),
    ],
)
def test_an_artifact_of_little_parity_passes_if_its_quality_holds(
    accuracy: Accuracy, verdict: Verdict, session: Make, artifact: Make
) -> None:
    checks = checks_of(session, artifact("int8"), 0.2)

    found = decided(checks, accuracy, artifact("int8"), SPEC)

    assert checks[0].verdict is Verdict.FAIL
    assert found[0].verdict is verdict
    assert (verdict is Verdict.PASS) == ("the metric decides" in found[0].reason)


def test_float32_is_judged_by_parity_alone(session: Make, artifact: Make) -> None:
    checks = checks_of(session, artifact("fp32"), 0.2)

    assert decided(checks, dropped(0, 0), artifact("fp32"), SPEC) == checks


def test_an_output_that_the_metric_does_not_judge_is_not_passed_by_it(session: Make, artifact: Make) -> None:
    checks = checks_of(session, artifact("int8"), 0.2)
    other = type(SPEC)("net", "classification", SPEC.inputs, (TensorSpec("scores", "float32", ("N", 4)), *SPEC.outputs))

    assert decided(checks, dropped(0, 0), artifact("int8"), other)[0].verdict is Verdict.FAIL


def test_a_case_far_from_the_samples_is_not_passed(artifact: Make) -> None:
    def sqnr(case: str, value: float) -> ParityCheck:
        return ParityCheck("onnx-int8", "here", case, "y", "sqnr", value, 20.0, Verdict.FAIL, sqnr_db=value)

    found = decided([sqnr("samples", 15.0), sqnr("N=1", 12.0), sqnr("N=5", 0.5)], dropped(0, 0), artifact("int8"), SPEC)

    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert np.isclose(found[0].value or 0, 15.0)


@pytest.mark.parametrize(
    ("drop", "limit", "verdict"), [(0.004, 0.01, Verdict.PASS), (0.02, 0.03, Verdict.PASS), (0.02, 0.01, Verdict.FAIL)]
)
def test_the_largest_drop_that_a_user_names_decides(
    drop: float, limit: float, verdict: Verdict, session: Make, artifact: Make
) -> None:
    # The interval reaches beyond the limit: without --max-drop this fails.
    accuracy = dropped(drop - 0.02, drop + 0.02)
    made = with_drop(artifact("int8"), accuracy, limit)
    checks = checks_of(session, made, 0.2)

    found = decided(checks, accuracy, made, SPEC)
    (own,) = drop_checks(made, "here")

    assert decided(checks, accuracy, artifact("int8"), SPEC)[0].verdict is Verdict.FAIL
    assert found[0].verdict is own.verdict is verdict
    assert own.value == pytest.approx(drop)
    assert (own.limit, own.samples) == (limit, 600)


def test_a_named_drop_that_samples_contradict_decides_nothing(session: Make, artifact: Make) -> None:
    made = with_drop(artifact("int8"), dropped(-0.02, 0.02), 0.01)
    checks = checks_of(session, made, 0.2)

    assert decided(checks, dropped(0.3, 0.5), made, SPEC)[0].verdict is Verdict.FAIL


def test_a_case_without_a_larger_error_than_the_samples_is_passed(artifact: Make) -> None:
    def sqnr(case: str, value: float, largest: float) -> ParityCheck:
        return ParityCheck("q", "here", case, "y", "sqnr", value, 20.0, Verdict.FAIL, largest, sqnr_db=value)

    checks = [sqnr("samples", 15.0, 0.5), sqnr("N=1", 3.0, 0.5), sqnr("N=2", 3.0, 0.6)]

    found = decided(checks, dropped(0, 0), artifact("int8"), SPEC)

    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]


def test_what_many_samples_showed_holds_where_a_bundle_has_few(session: Make, artifact: Make) -> None:
    checks = checks_of(session, artifact("int8"), 0.2)
    many, few, contradicting = dropped(-0.01, 0.009), dropped(-0.06, 0.06), dropped(0.05, 0.2)
    few, contradicting = (replaced(one, drop=replaced(one.drop, n=64)) for one in (few, contradicting))

    made = with_decision(artifact("int8"), many, decided(checks, many, artifact("int8"), SPEC))

    assert decided(checks, few, artifact("int8"), SPEC)[0].verdict is Verdict.FAIL
    assert decided(checks, few, made, SPEC)[0].verdict is Verdict.PASS
    assert decided(checks, few, made, SPEC)[0].reason.endswith("on 600 samples")
    assert decided(checks, contradicting, made, SPEC)[0].verdict is Verdict.FAIL
    # What parity alone passes has no such record.
    good = checks_of(session, artifact("int8"), 0.001)
    assert with_decision(artifact("int8"), many, good) == artifact("int8")
