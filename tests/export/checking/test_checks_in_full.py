"""Checks of parity field by field: what is judged, by which figure and limit, and what the reason says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.export.checking.echo import RANGE, SPEC, Make, X, batch, checks_of, echo, off_by, replaced_outputs, samples

from edgekit.core.errors import UserError
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case
from edgekit.export.checking.parity import compare_outputs
from edgekit.export.graphs.joins import REMEDY

DATA = Path(__file__).parents[2] / "runtime" / "data"


def test_a_check_has_every_figure_of_its_output(artifact: Make) -> None:
    answer = X[:64].copy()
    answer[7, 2] += 0.5

    (check,) = compare_outputs(artifact(), SPEC, {"y": answer}, samples(), where="here", case="mine")

    span = float(X[:64].max() - X[:64].min())
    error = float(answer[7, 2]) - float(X[7, 2])
    assert (check.artifact, check.where, check.case, check.output) == ("onnx-fp32", "here", "mine", "y")
    assert (check.kind, check.verdict, check.reason) == ("difference", Verdict.FAIL, "")
    assert (check.value, check.max_abs) == (error, error)
    assert check.limit == pytest.approx(1e-4 * span)
    assert check.mean_abs == pytest.approx(error / 256)
    assert check.sqnr_db == pytest.approx(10 * np.log10(np.sum(X[:64].astype("f8") ** 2) / error**2))
    assert (check.sample, check.samples) == (7, 64)
    assert check.cosine == pytest.approx(1, abs=0.01)
    assert check.top1 == np.mean(X[:64].argmax(axis=1) == answer.argmax(axis=1))


@pytest.mark.parametrize(("error", "sample"), [(0.0, None), (0.5, 0)])
def test_the_one_row_of_a_case_differs_most_if_it_differs(
    error: float, sample: int | None, session: Make, artifact: Make
) -> None:
    _, check = checks_of(session(off_by(error, row=0)), artifact(), SPEC, samples(), [batch(1)], "here")

    assert (check.case, check.sample, check.samples) == ("N=1", sample, 1)


def test_classes_are_judged_also_where_the_samples_have_another_name(artifact: Make) -> None:
    checks = compare_outputs(artifact("int8"), SPEC, {"y": X[:64]}, samples(), where="here", case="mine")

    assert [(check.case, check.kind) for check in checks] == [("mine", "sqnr"), ("mine", "agreement")]


def test_equal_outputs_of_a_quantized_artifact_have_no_decibels(session: Make, artifact: Make) -> None:
    sqnr, agreement = checks_of(session(echo), artifact("int8"), SPEC, samples(), [], "here")

    assert (sqnr.kind, sqnr.value, sqnr.verdict, sqnr.reason) == ("sqnr", None, Verdict.PASS, "no difference")
    assert (agreement.kind, agreement.value, agreement.limit, agreement.sample) == ("agreement", 1.0, 0.98, None)
    assert agreement.samples == 64
    assert agreement.reason == "there are only 64 values; the interval reaches 100.0%"


@pytest.mark.parametrize(("count", "reason"), [(499, "there are only 499 values; the interval reaches "), (500, "")])
def test_from_500_results_on_the_share_itself_counts(count: int, reason: str, artifact: Make) -> None:
    labels = np.resize(np.arange(7), (count, 1))
    answer = labels.copy()
    answer[:11] += 1

    (check,) = compare_outputs(
        artifact("int8"), SPEC, {"y": answer}, Samples({"x": X[:count]}, expected={"y": labels}), where="here"
    )

    assert check.reason.startswith(reason)
    assert bool(check.reason) == bool(reason)
    assert check.verdict is (Verdict.PASS if reason else Verdict.FAIL)
    assert check.sample == 0


@pytest.mark.parametrize(("precision", "kind", "limit"), [("fp32", "difference", 1e-4), ("int8", "sqnr", 20.0)])
def test_what_cannot_be_run_or_compared_is_shown_with_the_limit_that_it_had(
    precision: str, kind: str, limit: float, session: Make, artifact: Make
) -> None:
    def refuse(feed: Feed) -> Feed:
        raise UserError("first line\nsecond line")

    def silent(feed: Feed) -> Feed:
        raise RuntimeError

    expected = limit * (float(X[:64].max() - X[:64].min()) if kind == "difference" else 1)
    for work, reason in ((refuse, "first line"), (silent, "RuntimeError")):
        (check,) = checks_of(session(work), artifact(precision), SPEC, samples(), [], "here")
        assert (check.kind, check.value, check.verdict, check.samples) == (kind, None, Verdict.FAIL, 64)
        assert check.limit == pytest.approx(expected)
        assert check.reason == f"the backend cannot run it: {reason}"


def test_every_output_of_a_case_that_cannot_be_run_fails(session: Make, artifact: Make) -> None:
    given = Samples({"x": X[:4]}, expected={"y": X[:4], "z": X[:4]})

    def refuse(feed: Feed) -> Feed:
        raise ValueError("no")

    checks = checks_of(session(refuse), artifact(), SPEC, given, [], "here")

    assert [(check.output, check.verdict) for check in checks] == [("y", Verdict.FAIL), ("z", Verdict.FAIL)]


def test_an_output_without_values_names_its_kind_and_limit(artifact: Make) -> None:
    nothing = np.zeros((64, 0, 4))
    for dtype, precision in ((np.float32, "fp16"), (np.int64, "fp16")):
        given = Samples({"x": X[:64]}, expected={"y": nothing.astype(dtype)})
        (check,) = compare_outputs(
            artifact(precision), replaced_outputs(nothing), {"y": nothing.astype(dtype)}, given, where="here"
        )
        assert check == ParityCheck(
            "onnx-fp16",
            "here",
            "samples",
            "y",
            "sqnr",
            None,
            40.0,
            Verdict.INCONCLUSIVE,
            samples=64,
            reason="not judged: the output has no values here",
        )


def test_integers_of_one_case_do_not_judge_a_quantized_artifact(session: Make, artifact: Make) -> None:
    labels = X.argmax(axis=1)
    case = Case("N=2", {"N": 2}, {"x": X[:2]}, {"y": labels[:2]}, rows=2)
    work = session(lambda feed: {"y": feed["x"].argmax(axis=1) + (len(feed["x"]) == 2)})
    given = Samples({"x": X[:64]}, expected={"y": labels[:64]})

    quantized = checks_of(work, artifact("int8"), SPEC, given, [case], "here")[-1]
    exact = checks_of(work, artifact("fp32"), SPEC, given, [case], "here")[-1]

    assert (quantized.case, quantized.verdict) == ("N=2", Verdict.INCONCLUSIVE)
    assert quantized.reason == "not judged: one case has too few integers to judge a quantized artifact"
    assert (exact.case, exact.verdict, exact.value) == ("N=2", Verdict.FAIL, 0.0)


def two(first: Any, second: Any) -> Samples:
    return Samples({"x": X[:64]}, expected={"a": first, "b": second})


@pytest.mark.parametrize(
    ("task", "first", "judged"),
    [
        ("classification", X[:64], ["a"]),
        ("classification", X[:64, :1], []),
        ("classification", np.stack([X[:64]] * 2, axis=1), []),
        ("other", X[:64], []),
    ],
)
def test_only_the_first_output_of_a_classifier_has_classes(
    task: str, first: Any, judged: list[str], artifact: Make
) -> None:
    outputs = tuple(TensorSpec(name, "float32", ("N", 4)) for name in ("a", "b"))
    spec = ModelSpec("net", task, SPEC.inputs, outputs)
    given = two(first, X[:64])

    checks = compare_outputs(artifact("int8"), spec, dict(given.expected), given, where="here")

    assert [check.output for check in checks if check.kind == "agreement"] == judged
    assert [check.output for check in checks if check.kind == "sqnr"] == ["a", "b"]


def test_a_part_that_is_worst_is_named_with_the_remedy_in_quantized_artifacts_alone(artifact: Make) -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.uniform(0, 640, (64, 2)), rng.uniform(-1, 1, (64, 3))], axis=1)
    given = Samples({"x": X[:64]}, expected={"y": y})
    answer = y.copy()
    answer[:, 2:] = 0.0

    found = {
        precision: compare_outputs(artifact(precision), replaced_outputs(y), {"y": answer}, given, where="here")[0]
        for precision in ("fp32", "fp16", "int8")
    }

    assert {one.output for one in found.values()} == {"y[..., 2:5]"}
    assert {one.verdict for one in found.values()} == {Verdict.FAIL}
    assert [one.limit for one in found.values()][1:] == [40.0, 10.0]
    assert found["fp32"].limit == pytest.approx(1e-4 * 2, rel=0.05)
    assert [one.reason for one in found.values()] == ["", "", f"the scale of this part is unlike the rest: {REMEDY}"]


@pytest.mark.parametrize(("row", "verdict"), [(0, Verdict.PASS), (1, Verdict.FAIL)])
def test_a_row_of_a_case_is_excused_by_its_own_noise_alone(
    row: int, verdict: Verdict, session: Make, artifact: Make
) -> None:
    noise = np.zeros((2, 4))
    noise[0] = RANGE
    case = replace(batch(2), noise={"y": noise})
    wrong = off_by(0.5, row)

    def answer(feed: Feed) -> Feed:
        return wrong(feed) if len(feed["x"]) == 2 else echo(feed)

    _, check = checks_of(session(answer), artifact(), SPEC, samples(1), [case], "here")

    assert check.verdict is verdict


def test_one_feed_without_rows_has_the_noise_of_the_first_sample(session: Make, artifact: Make) -> None:
    tensors = (TensorSpec("x", "float32", (4,)), TensorSpec("y", "float32", (4,)))
    spec = ModelSpec("net", "other", tensors[:1], tensors[1:])
    noise = np.zeros((16, 4))
    noise[5] = RANGE
    given = replace(samples(16), noise={"y": noise})
    again = Case("again", {}, {"x": X[0]}, {"y": X[0] + 1})

    *_, check = checks_of(session(echo), artifact(), spec, given, [again], "here")

    assert (check.case, check.verdict) == ("again", Verdict.FAIL)


@pytest.mark.parametrize(("times", "verdict"), [(0.5, Verdict.PASS), (2.0, Verdict.FAIL)])
def test_a_part_is_allowed_the_noise_of_the_reference_in_that_part(
    times: float, verdict: Verdict, artifact: Make
) -> None:
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.uniform(0, 640, (64, 2)), rng.uniform(-1, 1, (64, 3))], axis=1)
    noise = np.zeros_like(y)
    noise[:, 2:] = 1e-4
    given = Samples({"x": X[:64]}, expected={"y": y}, noise={"y": noise})
    answer = y.copy()
    answer[:, 4] += times * 10 * 1e-4

    (check,) = compare_outputs(artifact(), replaced_outputs(y), {"y": answer}, given, where="here")

    assert check.verdict is verdict
    assert check.output == "y[..., 2:5]"
    assert check.limit == pytest.approx(1e-3)


def test_samples_on_which_the_reference_is_unstable_are_counted(session: Make, artifact: Make) -> None:
    noise = np.zeros((64, 4), np.float32)
    noise[[3, 5], 1] = RANGE
    given = replace(samples(), noise={"y": noise})

    check, *_ = checks_of(session(off_by(0.5, row=3)), artifact(), SPEC, given, [], "here")

    assert (check.verdict, check.value) == (Verdict.PASS, 0.0)
    assert check.reason == "2 of 64 samples were not judged: the reference is unstable there"


def test_the_noise_of_the_samples_counts_for_their_cases_and_not_for_invented_inputs(
    session: Make, artifact: Make
) -> None:
    given = replace(samples(), noise={"y": np.full((64, 4), 0.0005 * RANGE, np.float32)})
    zeros = Case("zeros", {"N": 1}, {"x": X[:1]}, {"y": X[:1]}, rows=1)
    size = 0.002 * RANGE

    whole, case, invented = checks_of(
        session(lambda feed: {"y": feed["x"] + np.float32(size)}), artifact(), SPEC, given, [batch(2), zeros], "here"
    )

    assert (whole.verdict, case.verdict, invented.verdict) == (Verdict.PASS, Verdict.PASS, Verdict.INCONCLUSIVE)
    assert case.limit == pytest.approx(0.005 * RANGE, rel=1e-3)
    assert invented.reason == "not judged: invented input, which no sample resembles"
    assert invented.limit == pytest.approx(1e-4 * float(X[:64].max() - X[:64].min()))
