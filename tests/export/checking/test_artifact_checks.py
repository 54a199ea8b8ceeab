"""The metric of real samples decides; parity explains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace as replaced
from tests.export.checking.echo import SPEC, Make, X, noisy, samples

from edgekit.core.bundle import Artifact, artifact_id
from edgekit.core.errors import ConversionFailed
from edgekit.core.reports.report import Accuracy, Estimate, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking import artifact_checks
from edgekit.export.checking.artifact_checks import check_file, decided, drop_checks, with_decision, with_drop
from edgekit.export.checking.parity import validate_artifact

DATA = Path(__file__).parents[2] / "runtime" / "data"
NOTHING = Estimate(None, reason="no labels")
UNKNOWN = Accuracy("onnx-int8", "here", "accuracy", NOTHING, NOTHING, NOTHING)


def dropped(low: float | None, high: float | None, metric: str = "accuracy", n: int = 600) -> Accuracy:
    known = Estimate(0.9, 0.88, 0.92, 600)
    middle = None if low is None or high is None else (low + high) / 2
    return Accuracy("onnx-int8", "here", metric, known, known, Estimate(middle, low, high, n))


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


def failing(kind: str = "sqnr", output: str = "y", case: str = "samples", value: float | None = 15.0) -> ParityCheck:
    return ParityCheck("q", "here", case, output, kind, value, 20.0, Verdict.FAIL, sqnr_db=value)


@pytest.mark.parametrize(
    ("accuracy", "reason"),
    [
        (dropped(-0.01, 0.0099), "the metric decides: accuracy drops by at most 0.99 pt (limit 1.00 pt)"),
        (dropped(-0.03, -0.01), "the metric decides: accuracy drops by at most 0.00 pt (limit 1.00 pt)"),
        (dropped(-0.01, 0.01), "the metric decides: accuracy drops by at most 1.00 pt (limit 1.00 pt)"),
        (dropped(0.0, 0.018, "mae"), "the metric decides: mae drops by at most 0.018 (limit 0.018)"),
        (dropped(0.0, 0.0181, "mae"), ""),
        (dropped(0.0, 0.0101), ""),
        (dropped(None, None), ""),
    ],
)
def test_the_reason_says_the_drop_and_its_limit(accuracy: Accuracy, reason: str, artifact: Make) -> None:
    (found,) = decided([failing()], accuracy, artifact("int8"), SPEC)

    assert (found.reason, found.verdict) == (reason, Verdict.PASS if reason else Verdict.FAIL)


@pytest.mark.parametrize(
    ("check", "verdict"),
    [
        (failing(), Verdict.PASS),
        (failing("agreement"), Verdict.PASS),
        (failing("range", "anything"), Verdict.PASS),
        (failing(output="y[..., 2:5]"), Verdict.PASS),
        (failing(output="z"), Verdict.FAIL),
        (failing("difference"), Verdict.FAIL),
        (failing("share"), Verdict.FAIL),
        (failing("agreement", case="N=1"), Verdict.FAIL),
        (failing(case="N=1", value=9.0), Verdict.PASS),
        (failing(case="N=1", value=8.9), Verdict.FAIL),
        (failing(value=None), Verdict.FAIL),
        (failing("range", value=None), Verdict.FAIL),
        (replaced(failing(), verdict=Verdict.INCONCLUSIVE), Verdict.INCONCLUSIVE),
    ],
)
def test_the_metric_passes_what_it_judges_and_nothing_else(
    check: ParityCheck, verdict: Verdict, artifact: Make
) -> None:
    passed = replaced(failing(), verdict=Verdict.PASS)

    *_, found = decided([passed, check], dropped(0, 0), artifact("int8"), SPEC)

    assert found.verdict is verdict


def test_boxes_and_scores_of_a_detector_are_both_judged_by_its_metric(artifact: Make) -> None:
    names = ("boxes", "scores", "more")
    outputs = tuple(TensorSpec(name, "float32", ("N", 9, 4)) for name in names)
    how = DetectionOutput(boxes="boxes", scores="scores")
    spec = ModelSpec("net", "detection", SPEC.inputs, outputs, postprocessing=how)

    found = decided([failing(output=name) for name in names], dropped(0, 0), artifact("int8"), spec)

    assert [one.verdict for one in found] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]


def test_without_named_outputs_every_output_is_the_judged_one(artifact: Make) -> None:
    unnamed = ModelSpec("net", "other", SPEC.inputs)

    (found,) = decided([failing(output="any")], dropped(0, 0), artifact("int8"), unnamed)

    assert found.verdict is Verdict.PASS


def test_a_drop_that_a_user_allows_is_in_the_record_and_in_the_reason(artifact: Make) -> None:
    made = with_drop(artifact("int8"), dropped(0.01, 0.03), 0.02)

    (found,) = decided([failing()], dropped(0.01, 0.03), made, SPEC)
    (own,) = drop_checks(made, "here")

    assert made.record["max_drop"] == {"metric": "accuracy", "limit": 0.02, "drop": 0.02, "samples": 600}
    assert made.id == artifact_id(made.record)
    assert found.reason == ("the metric decides: accuracy drops by 2.00 pt on 600 samples (--max-drop 2.00 pt)")
    assert own == ParityCheck(
        "onnx-int8", "here", "--max-drop", "accuracy", "drop", 0.02, 0.02, Verdict.PASS, samples=600
    )
    assert drop_checks(artifact("int8"), "here") == ()


@pytest.mark.parametrize(("low", "verdict"), [(0.02, Verdict.PASS), (0.0201, Verdict.FAIL)])
def test_the_drop_of_a_share_is_that_of_its_points(low: float, verdict: Verdict, artifact: Make) -> None:
    made = with_drop(artifact("int8"), dropped(0.01, 0.03), 0.02)

    (found,) = decided([failing()], dropped(low, 0.2), made, SPEC)

    assert found.verdict is verdict


def test_the_drop_of_an_error_is_relative_to_that_of_the_reference(artifact: Make) -> None:
    made = with_drop(artifact("int8"), dropped(0.08, 0.10, "mae"), 0.1)

    assert made.record["max_drop"]["drop"] == pytest.approx(0.1)
    for low, verdict in ((0.09, Verdict.PASS), (0.0901, Verdict.FAIL)):
        (found,) = decided([failing()], dropped(low, 0.2, "mae"), made, SPEC)
        assert found.verdict is verdict


def known(artifact: Make, accuracy: Accuracy, count: int) -> Artifact:
    checks = decided([failing()], accuracy, artifact("int8"), SPEC)
    made = with_decision(artifact("int8"), accuracy, checks)
    assert made.record["metric_decides"] == {"high": 0.009, "reason": checks[0].reason, "samples": count}
    assert made.id == artifact_id(made.record)
    return made


@pytest.mark.parametrize(
    ("few", "verdict"),
    [
        (dropped(0.01, 0.3, n=64), Verdict.PASS),
        (dropped(0.0101, 0.3, n=64), Verdict.FAIL),
        (dropped(-0.1, 0.3, n=600), Verdict.FAIL),
        (dropped(-0.1, 0.3, n=599), Verdict.PASS),
        (dropped(None, None, n=64), Verdict.FAIL),
    ],
)
def test_what_many_samples_showed_is_believed_unless_as_many_or_clearer_ones_say_otherwise(
    few: Accuracy, verdict: Verdict, artifact: Make
) -> None:
    made = known(artifact, dropped(-0.01, 0.009), 600)

    (found,) = decided([failing()], few, made, SPEC)

    assert found.verdict is verdict
    if verdict is Verdict.PASS:
        assert found.reason == f"{made.record['metric_decides']['reason']}, on 600 samples"


def linear(file: str, off: float = 0.0) -> tuple[Path, Artifact, ModelSpec, Samples]:
    x, y = TensorSpec("x", "float32", ("N", 3)), TensorSpec("y", "float32", ("N", 2))
    spec = ModelSpec("linear", "other", (x,), (y,))
    values = X[:64, :3]
    weights = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)
    expected = values @ weights.T + np.array([0.5, -0.5], np.float32) + np.float32(off)
    made = Artifact("onnx-fp32", file, "onnx", "fp32", 1, "", "", (x,), (y,))
    return DATA / file, made, spec, Samples({"x": values}, expected={"y": expected})


def test_a_file_is_checked_in_the_backend_of_its_format() -> None:
    path, made, spec, given = linear("linear.onnx")

    (check,), accuracy = check_file(path, made, spec, given, [])
    (wrong,), _ = check_file(path, made, spec, linear("linear.onnx", 0.5)[3], [])

    assert (check.where, check.verdict, wrong.verdict) == ("onnxruntime", Verdict.PASS, Verdict.FAIL)
    assert (accuracy.artifact, accuracy.where) == ("onnx-fp32", "onnxruntime")


def test_a_file_that_does_not_open_is_a_fault_of_its_converter(tmp_path: Path) -> None:
    _, made, spec, given = linear("linear.onnx")
    (tmp_path / "linear.onnx").write_bytes(b"nothing")

    with pytest.raises(ConversionFailed, match=r"^The converter of 'onnx-fp32' wrote an invalid file: .*linear\.onnx"):
        check_file(tmp_path / "linear.onnx", made, spec, given, [])


def test_the_check_of_the_allowed_drop_comes_with_the_others() -> None:
    path, made, spec, given = linear("linear.onnx")
    record = {artifact_checks.MAX_DROP: {"metric": "accuracy", "limit": 0.01, "drop": 0.5, "samples": 9}}

    checks, _ = check_file(path, replaced(made, record=record), spec, given, [])

    assert [(one.kind, one.where, one.verdict) for one in checks] == [
        ("difference", "onnxruntime", Verdict.PASS),
        ("drop", "onnxruntime", Verdict.FAIL),
    ]
