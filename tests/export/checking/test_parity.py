"""Validation finds what differs, says where, and blames nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.export.checking.echo import RANGE, SPEC, Make, X, batch, checks_of, echo, failed, noisy, off_by, samples

from edgekit.core.bundle import Signature
from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.accuracy import measure_accuracy
from edgekit.export.checking.cases import Case
from edgekit.export.checking.parity import (
    compare_outputs,
    validate_artifact,
)
from edgekit.export.checking.tolerance import TOLERANCES


def test_an_exact_artifact_passes_every_case(session: Make, artifact: Make) -> None:
    checks = checks_of(session(echo), artifact(), SPEC, samples(), [batch(1), batch(5)], "local/fake")

    assert [(check.case, check.verdict, check.value) for check in checks] == [
        ("samples", Verdict.PASS, 0.0),
        ("N=1", Verdict.PASS, 0.0),
        ("N=5", Verdict.PASS, 0.0),
    ]
    assert {check.where for check in checks} == {"local/fake"}


@pytest.mark.parametrize(("share", "passes"), [(0.9e-4, True), (1.2e-4, False)])
def test_float32_may_be_off_by_a_ten_thousandth_of_the_range(
    share: float, passes: bool, session: Make, artifact: Make
) -> None:
    check, *_ = checks_of(session(off_by(share * RANGE)), artifact(), SPEC, samples(600), [], "here")

    assert (check.verdict is Verdict.PASS) is passes
    assert check.limit == pytest.approx(1e-4 * RANGE)


@pytest.mark.parametrize(("share", "passes"), [(0.009, True), (0.012, False)])
def test_float16_keeps_forty_decibels(share: float, passes: bool, session: Make, artifact: Make) -> None:
    check, *_ = checks_of(session(noisy(share)), artifact("fp16"), SPEC, samples(), [], "here")

    assert (check.kind, check.limit, check.verdict is Verdict.PASS) == ("sqnr", 40.0, passes)


def test_a_wider_precision_is_judged_more_strictly_in_every_figure() -> None:
    rows = [TOLERANCES[name] for name in ("fp32", "fp16", "int8", "int4")]

    for figure in ("sqnr_db", "part_db", "agreement", "gross_db"):
        values = [getattr(row, figure) for row in rows]
        assert values == sorted(values, reverse=True), figure


@pytest.mark.parametrize(("share", "passes"), [(0.09, True), (0.12, False)])
def test_a_quantized_artifact_keeps_twenty_decibels(share: float, passes: bool, session: Make, artifact: Make) -> None:
    checks = checks_of(session(noisy(share)), artifact("int8"), SPEC, samples(), [], "here")
    sqnr = next(check for check in checks if check.kind == "sqnr")

    assert (sqnr.verdict is Verdict.PASS) is passes
    assert sqnr.limit == 20.0


def test_a_failing_check_names_artifact_output_case_and_sample(session: Make, artifact: Make) -> None:
    checks = checks_of(session(off_by(0.5)), artifact(), SPEC, samples(), [batch(1)], "here")

    check = failed(checks)[0]
    assert (check.artifact, check.output, check.case) == ("onnx-fp32", "y", "samples")
    assert (check.value, check.sample, check.samples) == (0.5, 7, 64)
    assert check.limit == pytest.approx(1e-4 * float(X[:64].max() - X[:64].min()))


def test_a_frozen_batch_is_a_failing_case_with_the_words_of_the_engine(session: Make, artifact: Make) -> None:
    def frozen(feed: Feed) -> Feed:
        if len(feed["x"]) == 5:
            raise UserError("onnxruntime cannot run this feed: Got 5, expected 2")
        return echo(feed)

    checks = checks_of(session(frozen), artifact(), SPEC, samples(), [batch(2), batch(5)], "here")

    (check,) = failed(checks)
    assert (check.case, check.value) == ("N=5", None)
    assert check.reason == "the backend cannot run it: onnxruntime cannot run this feed: Got 5, expected 2"
    assert check.output == "y"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"y": X[:1]}, "the shape is (1, 4), PyTorch's is (64, 4)"),
        ({"z": X[:64]}, "the artifact has no such output; it returns z"),
    ],
)
def test_an_output_of_another_shape_or_name_fails(answer: Feed, reason: str, session: Make, artifact: Make) -> None:
    (check,) = checks_of(session(lambda _: answer), artifact(), SPEC, samples(), [], "here")

    assert (check.verdict, check.reason) == (Verdict.FAIL, reason)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_not_a_number_fails_in_every_precision(precision: str, session: Make, artifact: Make) -> None:
    broken = session(lambda feed: {"y": np.full_like(feed["x"], np.nan)})

    check, *_ = checks_of(broken, artifact(precision), SPEC, samples(), [], "here")

    assert (check.verdict, check.value, check.reason) == (Verdict.FAIL, None, "an output is not finite")


@pytest.mark.parametrize(
    ("count", "wrong", "passes"),
    [
        (600, 12, True),  # 98.0 %
        (600, 13, False),
        (50, 2, True),  # 96 %, but the interval of so few samples reaches 98 %
        (50, 3, False),
    ],
)
def test_quantized_classes_agree_in_98_percent_or_could(count: int, wrong: int, passes: bool, artifact: Make) -> None:
    scores = np.zeros((count, 4), np.float32)
    scores[:, 1] = 1.0
    answer = scores.copy()
    answer[:wrong, 1] = 0.999
    answer[:wrong, 2] = 1.0
    given = Samples({"x": X[:count]}, expected={"y": scores})

    checks = compare_outputs(artifact("int8"), SPEC, {"y": scores * 0.0 + answer}, given, where="here")
    agreement = next(check for check in checks if check.kind == "agreement")

    assert (agreement.verdict is Verdict.PASS) is passes
    assert agreement.value == pytest.approx(1 - wrong / count)
    assert agreement.sample == 0


def test_only_classifiers_are_asked_for_their_classes(session: Make, artifact: Make) -> None:
    other = ModelSpec("net", "regression", SPEC.inputs, SPEC.outputs)

    checks = checks_of(session(echo), artifact("int8"), other, samples(), [], "here")

    assert {check.kind for check in checks} == {"sqnr"}


def test_a_case_with_little_signal_is_measured_by_that_of_the_samples(session: Make, artifact: Make) -> None:
    quiet = Case("N=1", {"N": 1}, {"x": X[:1]}, {"y": np.zeros((1, 4), np.float32)}, rows=1)

    def answer(feed: Feed) -> Feed:
        return echo(feed) if len(feed["x"]) > 1 else {"y": np.full((1, 4), 0.01, np.float32)}

    checks = checks_of(session(answer), artifact("int8"), SPEC, samples(), [quiet], "here")

    assert failed(checks) == []


def test_a_few_samples_with_more_noise_than_all_fail_only_if_the_batch_adds_some(session: Make, artifact: Make) -> None:
    def answer(amount: float, batch: int) -> Callable[[Feed], Feed]:
        """Noise in the first sample alone: 24 dB among 64 samples; in one batch size `amount` times as much."""

        def run(feed: Feed) -> Feed:
            y = feed["x"].copy()
            y[0] += 0.65 * np.abs(X[:64]).mean() * (amount if len(y) == batch else 1.0)
            return {"y": y}

        return run

    def found(amount: float, batch_size: int) -> list[str]:
        made = session(answer(amount, batch_size))
        checks = checks_of(made, artifact("int8"), SPEC, samples(), [batch(1), batch(2)], "here")
        return [check.case for check in failed(checks) if check.kind == "sqnr"]

    assert found(1.0, 1) == []
    assert found(1.05, 1) == []
    assert found(1.3, 1) == ["N=1"]
    assert found(1.3, 2) == ["N=2"]
    assert found(2.0, 64) == ["samples", "N=1", "N=2"]


def test_a_repeated_first_row_is_caught_in_quantized_artifacts_too(session: Make, artifact: Make) -> None:
    frozen = session(lambda feed: {"y": np.repeat(feed["x"][:1], len(feed["x"]), axis=0)})

    checks = checks_of(frozen, artifact("int8"), SPEC, samples(), [batch(1), batch(5)], "here")

    assert {check.case for check in failed(checks)} == {"samples", "N=5"}


def test_extreme_inputs_are_for_float_artifacts(session: Make, artifact: Make) -> None:
    zeros = Case("zeros", {"N": 1}, {"x": np.zeros((1, 4))}, {"y": np.zeros((1, 4), np.float32)})

    names = {
        precision: [
            check.case
            for check in checks_of(session(echo), artifact(precision), SPEC, samples(), [zeros], "here")
            if check.kind != "agreement"
        ]
        for precision in ("fp32", "int8")
    }

    assert names == {"fp32": ["samples", "zeros"], "int8": ["samples"]}


def test_an_extreme_answer_is_measured_by_its_own_range(session: Make, artifact: Make) -> None:
    far = Case("high", {"N": 1}, {"x": np.zeros((1, 4))}, {"y": np.array([[0.0, 1e6, 0.0, 0.0]])})
    near = session(lambda feed: echo(feed) if len(feed["x"]) > 1 else {"y": far.expected["y"] + 10})

    assert failed(checks_of(near, artifact(), SPEC, samples(), [far], "here")) == []


def test_sizes_without_a_signature_are_left_out(session: Make, artifact: Make) -> None:
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", "T")),), sizes={"T": (4,)})
    short = Case("N=2 T=3", {"N": 2, "T": 3}, {"x": X[:2, :3]}, {"y": X[:2, :3]}, rows=2)
    fixed = artifact("fp32", Signature("serving_default", {"N": 1, "T": 4}), kind="tflite")

    cases = {
        one.recipe: [check.case for check in checks_of(session(echo), one, spec, samples(), [short], "")]
        for one in (artifact(), fixed)
    }

    assert cases == {"onnx-fp32": ["samples", "N=2 T=3"], "tflite-fp32": ["samples"]}


def test_integer_outputs_are_judged_by_the_share_that_is_equal(artifact: Make) -> None:
    labels = X.argmax(axis=1)
    given = Samples({"x": X}, expected={"y": labels})
    wrong = labels.copy()
    wrong[:30] += 1

    (good,) = compare_outputs(artifact(), SPEC, {"y": labels.astype(np.int32)}, given, where="here")
    (bad,) = compare_outputs(artifact(), SPEC, {"y": wrong}, given, where="here")

    assert (good.kind, good.value, good.verdict) == ("agreement", 1.0, Verdict.PASS)
    assert (bad.value, bad.verdict) == (0.95, Verdict.FAIL)


def test_a_model_without_a_batch_axis_takes_one_sample_a_call(session: Make, artifact: Make) -> None:
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", (4,)),))
    shapes = []

    def answer(feed: Feed) -> Feed:
        shapes.append(feed["x"].shape)
        return echo(feed)

    (check,) = checks_of(session(answer), artifact(), spec, samples(3), [], "here")

    assert check.verdict is Verdict.PASS
    assert shapes == [(4,)] * 3


def test_a_file_of_unknown_precision_is_held_to_what_all_must_reach(session: Make, artifact: Make) -> None:
    checks = checks_of(session(noisy(0.05)), artifact(""), SPEC, samples(), [], "here")

    assert checks[0].kind == "sqnr"


def test_parity_and_accuracy_come_from_one_run_over_the_samples(session: Make, artifact: Make) -> None:
    calls: list[Feed] = []

    def counted(feed: Feed) -> Feed:
        calls.append(feed)
        return echo(feed)

    given = replace(samples(), labels=samples().expected["y"].argmax(axis=1))

    checks, accuracy = validate_artifact(session(counted), artifact(), SPEC, given, [], "here")

    assert sum(len(feed["x"]) for feed in calls) == len(given)
    assert failed(checks) == []
    assert accuracy == measure_accuracy(session(echo), artifact(), SPEC, given, "here")


def test_an_artifact_that_refuses_the_samples_fails_parity_and_has_no_accuracy(session: Make, artifact: Make) -> None:
    def refuse(feed: Feed) -> Feed:
        raise UserError("no such shape")

    given = replace(samples(), labels=samples().expected["y"].argmax(axis=1))

    checks, accuracy = validate_artifact(session(refuse), artifact(), SPEC, given, [], "here")

    assert "no such shape" in checks[0].reason
    assert accuracy.quality.value is None
    assert "do not have PyTorch's names and shapes" in accuracy.quality.reason
