"""Budgets against figures, and which artifact is chosen."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.measurement import Launch, Measurement, Trust
from edgekit.core.recipe import parse_recipes
from edgekit.core.reports.report import Accuracy, Estimate, Latency, ParityCheck, Report
from edgekit.core.target import parse_targets
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.budgets import judge_budgets, outcomes, overall, parse_budgets, refuse_unmeasurable
from edgekit.flows.measuring.summary import quantiles
from edgekit.report.formatting import beyond

RECIPES = parse_recipes("onnx-fp32,onnx-int8")
TARGETS = parse_targets("local")
FLOAT, INT8 = "onnx-fp32", "onnx-int8-static-u8s8"


def artifact(recipe: str, size_bytes: int) -> Artifact:
    return Artifact(recipe, f"{recipe}.onnx", "onnx", "fp32", size_bytes, "0" * 64, "1" * 64, (), ())


def measurement(recipe: str, latency_s: float) -> Measurement:
    # Six launches of 40 values, each launch 1 % slower than the one before.
    launches = tuple(Launch(order, (latency_s * (1 + 0.01 * order),) * 40) for order in range(6))
    return Measurement("local", recipe, "latency", "s", launches)


def latency(one: Measurement) -> Latency:
    none = Estimate(None, reason="not reported")
    return Latency("local", one.artifact, {}, quantiles(one), none, none, none, Trust("A"))


def parity(recipe: str, verdict: Verdict) -> ParityCheck:
    return ParityCheck(recipe, "onnxruntime", "N=1", "logits", "difference", 0.1, 0.2, verdict)


def figures() -> Report:
    """Two artifacts that keep parity on one target; the int8 one is smaller and faster."""
    runs = (measurement(FLOAT, 2e-3), measurement(INT8, 1e-3))
    exact = Estimate(0.99, 0.98, 1.0, 500)
    return Report(
        command="build",
        created="",
        artifacts=(artifact(FLOAT, 40_000), artifact(INT8, 12_000)),
        parity=(parity(FLOAT, Verdict.PASS), parity(INT8, Verdict.PASS)),
        accuracy=tuple(
            Accuracy(name, "onnxruntime", "accuracy", exact, exact, Estimate(0.0, -0.01, 0.01, 500))
            for name in (FLOAT, INT8)
        ),
        measurements=runs,
        latency=tuple(map(latency, runs)),
    )


@pytest.fixture
def evidence() -> Report:
    return figures()


def verdict_of(text: str, evidence: Report) -> tuple[Verdict, str | None]:
    budgets = parse_budgets(text, TARGETS, RECIPES)
    checks = judge_budgets(budgets, TARGETS, evidence)
    found = outcomes(budgets, checks, TARGETS, evidence)
    return overall(found, evidence.parity), found[0].chosen


def test_without_budgets_the_fastest_artifact_is_chosen(evidence: Report) -> None:
    assert verdict_of("", evidence) == (Verdict.PASS, INT8)


def spread(recipe: str, medians: tuple[float, ...]) -> Measurement:
    launches = tuple(Launch(order, (value,) * 40) for order, value in enumerate(medians))
    return Measurement("local", recipe, "latency", "s", launches)


def test_of_artifacts_that_are_equally_fast_the_smallest_is_chosen_and_it_is_said(evidence: Report) -> None:
    # The float file won by its point estimate alone: 1.000 ms against 1.017 ms, of launches that spread by 5 %.
    runs = (
        spread(FLOAT, (0.97e-3, 1.05e-3, 0.99e-3, 0.96e-3, 1.02e-3, 1.01e-3)),
        spread(INT8, (1.02e-3, 0.98e-3, 1.06e-3, 1.03e-3, 0.97e-3, 1.04e-3)),
    )
    noisy = replace(evidence, measurements=runs, latency=tuple(map(latency, runs)))

    found = outcomes((), (), TARGETS, noisy)[0]

    assert found.chosen == INT8
    assert found.reason == f"the smallest; 1.02 ms is not shown to be slower than 1.00 ms of '{FLOAT}'"


def test_a_smaller_artifact_that_is_shown_to_be_slower_is_not_chosen(evidence: Report) -> None:
    runs = (measurement(FLOAT, 1e-3), measurement(INT8, 1.05e-3))
    slower = replace(evidence, measurements=runs, latency=tuple(map(latency, runs)))

    found = outcomes((), (), TARGETS, slower)[0]

    assert (found.chosen, found.reason) == (FLOAT, "")


def test_what_has_no_median_is_chosen_after_what_has_one(evidence: Report) -> None:
    timed = replace(evidence, measurements=evidence.measurements[:1], latency=evidence.latency[:1])

    assert outcomes((), (), TARGETS, timed)[0].chosen == FLOAT
    assert outcomes((), (), TARGETS, replace(evidence, measurements=(), latency=()))[0].chosen == INT8


def test_a_size_that_only_int8_meets_chooses_int8(evidence: Report) -> None:
    assert verdict_of("size <= 20 kB", evidence) == (Verdict.PASS, INT8)


def test_a_size_that_none_meets_fails_and_names_the_nearest(evidence: Report) -> None:
    budgets = parse_budgets("size <= 10 kB", TARGETS, RECIPES)
    checks = judge_budgets(budgets, TARGETS, evidence)

    found = outcomes(budgets, checks, TARGETS, evidence)

    assert overall(found, evidence.parity) is Verdict.FAIL
    assert found[0].chosen is None
    assert INT8 in found[0].reason


def test_a_latency_budget_that_is_missed_says_by_how_much(evidence: Report) -> None:
    budgets = parse_budgets("latency.p90 <= 1 us", TARGETS, RECIPES)

    checks = judge_budgets(budgets, TARGETS, evidence)

    assert {check.verdict for check in checks} == {Verdict.FAIL}
    assert checks[1].excess == pytest.approx(1e-3 * 1.025 - 1e-6, rel=0.01)


def test_a_limit_inside_the_interval_is_inconclusive(evidence: Report) -> None:
    assert verdict_of("onnx-fp32: latency.p50 <= 2.05 ms", evidence)[0] is Verdict.INCONCLUSIVE


def test_a_quantile_beyond_the_sample_is_inconclusive_with_the_reason(evidence: Report) -> None:
    budgets = parse_budgets("latency.p99 <= 1 s", TARGETS, RECIPES)

    check = judge_budgets(budgets, TARGETS, evidence)[0]

    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.estimate.value is None
    assert "299" in check.estimate.reason


def test_a_scoped_budget_must_hold_whatever_else_passes(evidence: Report) -> None:
    assert verdict_of("onnx-fp32: size <= 20 kB", evidence)[0] is Verdict.FAIL


def test_a_parity_failure_fails_although_another_artifact_passes(evidence: Report) -> None:
    broken = replace(evidence, parity=(parity(FLOAT, Verdict.PASS), parity(INT8, Verdict.FAIL)))

    verdict, chosen = verdict_of("", broken)

    assert (verdict, chosen) == (Verdict.FAIL, FLOAT)


def test_budgets_in_one_text_are_all_judged(evidence: Report) -> None:
    text = "latency.p90 <= 8 ms, accuracy.drop <= 1 pt, size <= 100 kB"

    budgets = parse_budgets(text, TARGETS, RECIPES)

    assert [budget.metric for budget in budgets] == ["latency", "accuracy.drop", "size"]
    assert verdict_of(text, evidence) == (Verdict.PASS, INT8)


def test_an_accuracy_budget_without_labels_is_refused_before_any_work() -> None:
    budgets = parse_budgets("accuracy >= 90 %", TARGETS, RECIPES)

    with pytest.raises(UserError, match="needs samples with labels"):
        refuse_unmeasurable(budgets, "")


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("onnx-fp32@pi5: size <= 1 kB", "target"),
        ("tflite-fp32: size <= 1 kB", "artifact"),
        ("latncy.p90 <= 1 ms", "latency.p90"),
    ],
)
def test_a_scope_that_covers_nothing_is_refused(text: str, offer: str) -> None:
    with pytest.raises(UserError, match=offer):
        parse_budgets(text, TARGETS, RECIPES)


def both(evidence: Report) -> Report:
    """The evidence with a small .tflite beside the two .onnx."""
    lite = Artifact("tflite-int8-static", "a.tflite", "tflite", "int8", 5_000, "0" * 64, "1" * 64, (), ())
    return replace(
        evidence,
        artifacts=(*evidence.artifacts, lite),
        parity=(*evidence.parity, parity("tflite-int8-static", Verdict.PASS)),
    )


def test_what_a_target_does_not_open_is_not_chosen_there(evidence: Report) -> None:
    targets, recipes = parse_targets("local/onnxruntime,local/litert"), parse_recipes("onnx-int8,tflite-int8")
    budgets = parse_budgets("size <= 10 kB", targets, recipes)

    checks = judge_budgets(budgets, targets, both(evidence))
    found = outcomes(budgets, checks, targets, both(evidence))

    assert {(one.artifact, one.target) for one in checks} == {
        (FLOAT, "local/onnxruntime"),
        (INT8, "local/onnxruntime"),
        ("tflite-int8-static", "local/litert"),
    }
    assert [(one.verdict, one.chosen) for one in found] == [
        (Verdict.FAIL, None),
        (Verdict.PASS, "tflite-int8-static"),
    ]


def test_a_budget_on_an_artifact_that_no_target_opens_is_refused() -> None:
    targets, recipes = parse_targets("local/litert"), parse_recipes("onnx-fp32,tflite-fp32")

    with pytest.raises(UserError, match="None of the targets of budget"):
        parse_budgets("onnx-fp32: size <= 1 MB", targets, recipes)


def test_an_unmet_scoped_budget_is_named_beside_the_chosen_artifact(evidence: Report) -> None:
    budgets = parse_budgets("onnx-fp32: size <= 20 kB", TARGETS, RECIPES)

    found = outcomes(budgets, judge_budgets(budgets, TARGETS, evidence), TARGETS, evidence)[0]

    assert (found.verdict, found.chosen) == (Verdict.FAIL, INT8)
    assert "onnx-fp32: size <= 20 kB" in found.reason


def test_the_nearest_miss_keeps_parity_and_is_judged_by_its_farthest_budget(evidence: Report) -> None:
    # The float artifact misses one limit by 0.1 % and the other a hundredfold; int8 misses both by a fifth.
    text = "latency.p50 <= 1.7 ms, size <= 10 kB"
    slow = replace(evidence, measurements=(measurement(FLOAT, 1.66e-3), measurement(INT8, 1.99e-3)))
    budgets = parse_budgets(text, TARGETS, RECIPES)

    def nearest(given: Report) -> str:
        return outcomes(budgets, judge_budgets(budgets, TARGETS, given), TARGETS, given)[0].reason

    assert INT8 in nearest(slow)
    assert FLOAT in nearest(replace(slow, parity=(parity(FLOAT, Verdict.PASS), parity(INT8, Verdict.FAIL))))


@pytest.mark.parametrize("text", ["accuracy >= 50 %", "accuracy.drop <= 1 pt"])
def test_a_budget_on_accuracy_is_not_held_against_another_metric(text: str, evidence: Report) -> None:
    error = Estimate(0.9, 0.8, 1.0, 500)
    other = replace(
        evidence, accuracy=tuple(Accuracy(name, "here", "mae", error, error, error) for name in (FLOAT, INT8))
    )

    check = judge_budgets(parse_budgets(text, TARGETS, RECIPES), TARGETS, other)[0]

    assert (check.verdict, check.estimate.reason) == (Verdict.INCONCLUSIVE, "the metric of this model is mae")


def test_a_latency_that_drifts_passes_no_budget_and_fails_one_that_is_far_below_it(evidence: Report) -> None:
    slowing = tuple(Launch(i, tuple(1e-4 * (1 + 0.05 * call / 100) for call in range(300))) for i in range(6))
    runs = (evidence.measurements[0], Measurement("local", INT8, "latency", "s", slowing))
    drifting = replace(evidence, measurements=runs, latency=tuple(map(latency, runs)))

    texts = (f"{INT8}: latency.p50 <= 1 ms", f"{INT8}: latency.p50 <= 60 us", f"{INT8}: latency.p50 <= 40 us")
    checks = judge_budgets(parse_budgets(texts, TARGETS, RECIPES), TARGETS, drifting)

    assert [check.verdict for check in checks] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE, Verdict.FAIL]
    assert all("drift" in check.estimate.reason for check in checks)


def test_an_undecided_accuracy_says_how_many_samples_it_needs(evidence: Report) -> None:
    drop = Estimate(0.0, -0.057, 0.057, 64)
    accuracy = tuple(
        Accuracy(one.artifact, one.where, "accuracy", drop, drop, drop, 0.042) for one in evidence.accuracy
    )
    evidence = replace(evidence, accuracy=accuracy)

    checks = judge_budgets(parse_budgets("accuracy.drop <= 1 pt", TARGETS, RECIPES), TARGETS, evidence)

    assert {one.verdict for one in checks} == {Verdict.INCONCLUSIVE}
    assert "64 samples give an interval of ±5.7 pt; about 380 are needed for ±1 pt" in checks[0].estimate.reason
    assert beyond(checks[0]) == checks[0].estimate.reason


def test_the_worst_signal_to_noise_ratio_of_all_outputs_is_judged() -> None:
    checks = tuple(
        replace(parity(FLOAT, Verdict.PASS), output=name, sqnr_db=value) for name, value in (("a", 40.0), ("b", 10.0))
    )
    report = Report(command="build", created="now", artifacts=(artifact(FLOAT, 100),), parity=checks)

    (found,) = judge_budgets(parse_budgets("sqnr >= 20 dB", TARGETS, RECIPES), TARGETS, report)

    assert (found.verdict, found.estimate.value) == (Verdict.FAIL, 10.0)
