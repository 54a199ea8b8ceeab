"""Which figure a budget is judged on, what stands in for one that is missing, and what a refusal offers."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.flows.judging.test_budgets import FLOAT, INT8, RECIPES, TARGETS, figures, parity

from edgekit.core.budget import METRICS
from edgekit.core.errors import UserError
from edgekit.core.recipe import parse_recipes
from edgekit.core.reports.report import Accuracy, Estimate, Missing, Report
from edgekit.core.target import parse_targets
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.budgets import judge_budgets, outcomes, parse_budgets, refuse_unmeasurable

# 1 point of a share, 0.2 to 3.
LOST = Estimate(0.01, 0.002, 0.03, 50)


@pytest.fixture
def evidence() -> Report:
    return figures()


def test_a_latency_under_emulation_is_judged_by_no_budget(evidence: Report) -> None:
    emulated = replace(evidence, measurements=tuple(replace(one, emulated=True) for one in evidence.measurements))

    checks = judge_budgets(parse_budgets("latency.p50 <= 1 us, size <= 20 kB", TARGETS, RECIPES), TARGETS, emulated)

    latencies = [one for one in checks if one.metric == "latency"]
    assert {one.verdict for one in latencies} == {Verdict.INCONCLUSIVE}
    assert {one.estimate.reason for one in latencies} == {"emulated: not the latency of a device"}
    assert [one.verdict for one in checks if one.metric == "size"] == [Verdict.FAIL, Verdict.PASS]


@pytest.mark.parametrize(
    ("budget", "value"),
    [
        ("load <= 1 s", 2.0),
        ("first_run <= 1 s", 3.0),
        ("memory <= 1 B", 4.0),
        ("size <= 1 B", 40_000),
        ("accuracy >= 99.9 %", 0.97),
        ("accuracy.drop <= 0.1 pt", 0.02),
        ("sqnr >= 50 dB", 40.0),
    ],
)
def test_each_metric_has_its_own_figure(budget: str, value: float, evidence: Report) -> None:
    load, first_run, memory, quality, drop = (exact(one) for one in (2.0, 3.0, 4.0, 0.97, 0.02))
    rows = tuple(replace(one, load=load, first_run=first_run, memory=memory) for one in evidence.latency)
    accuracy = tuple(replace(one, quality=quality, drop=drop) for one in evidence.accuracy)
    signal = tuple(replace(one, sqnr_db=40.0) for one in evidence.parity)
    other = replace(evidence, latency=rows, accuracy=accuracy, parity=signal)

    check = judge_budgets(parse_budgets(f"{FLOAT}: {budget}", TARGETS, RECIPES), TARGETS, other)[0]

    assert (check.estimate.low, check.estimate.value, check.estimate.high) == (value, value, value)
    assert check.verdict is Verdict.FAIL
    assert (check.artifact, check.target, check.unit) == (FLOAT, "local", METRICS[check.metric].unit)
    assert check.excess == pytest.approx(value - check.limit)


def test_outputs_of_the_reference_to_the_bit_reach_every_ratio(evidence: Report) -> None:
    signal = tuple(replace(one, kind="difference", value=0.0, sqnr_db=None) for one in evidence.parity)

    check = judge_budgets(
        parse_budgets(f"{FLOAT}: sqnr >= 100 dB", TARGETS, RECIPES), TARGETS, replace(evidence, parity=signal)
    )[0]

    assert check.verdict is Verdict.PASS


def exact(value: float) -> Estimate:
    return Estimate(value, value, value, 8)


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        ("latency.p50 <= 1 s", "not measured on this target"),
        ("load <= 1 s", "not measured on this target"),
        ("accuracy >= 1 %", "accuracy was not measured"),
        ("sqnr >= 1 dB", "no reference"),
    ],
)
def test_a_figure_that_is_not_known_decides_nothing_and_says_why(budget: str, reason: str, evidence: Report) -> None:
    nothing = replace(evidence, measurements=(), latency=(), accuracy=(), parity=())

    checks = judge_budgets(parse_budgets(budget, TARGETS, RECIPES), TARGETS, nothing)

    assert {(one.verdict, one.estimate.reason, one.excess) for one in checks} == {(Verdict.INCONCLUSIVE, reason, None)}


def test_what_could_not_be_measured_is_not_chosen_and_leaves_a_run_incomplete(evidence: Report) -> None:
    gone = Missing(INT8, "local", "away", "the device is gone")
    one = replace(evidence, missing=(gone,))
    both = replace(evidence, missing=(gone, Missing(FLOAT, "local", "away", "the device is gone")))
    elsewhere = replace(evidence, missing=(Missing(INT8, "pi5", "away", "the device is gone"),))

    found = [outcomes((), (), TARGETS, each)[0] for each in (one, both, elsewhere)]

    assert [(each.verdict, each.chosen) for each in found] == [
        (Verdict.INCOMPLETE, FLOAT),
        (Verdict.INCOMPLETE, None),
        (Verdict.PASS, INT8),
    ]
    assert found[1].reason == "the device is gone"
    checks = judge_budgets(parse_budgets("size <= 1 MB", TARGETS, RECIPES), TARGETS, one)
    assert [check.artifact for check in checks] == [FLOAT]


def test_without_parity_nothing_is_chosen(evidence: Report) -> None:
    wrong = replace(evidence, parity=(parity(FLOAT, Verdict.FAIL), parity(INT8, Verdict.FAIL)))

    (found,) = outcomes((), (), TARGETS, wrong)

    assert (found.verdict, found.chosen, found.reason) == (Verdict.FAIL, None, "no artifact keeps parity")


def test_the_nearest_miss_is_measured_in_shares_of_the_limit(evidence: Report) -> None:
    # int8 misses its size by half of the limit, and its latency by far more; float misses its size by far more.
    budgets = parse_budgets(("size <= 8 kB", "latency.p50 <= 0.9 ms"), TARGETS, RECIPES)

    (found,) = outcomes(budgets, judge_budgets(budgets, TARGETS, evidence), TARGETS, evidence)

    assert found.reason == f"no artifact meets every budget; the closest is '{INT8}' on 'size <= 8 kB'"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("@pi5: size <= 1 MB", "--target pi5"),
        ("tflite-fp32: size <= 1 MB", "--to tflite-fp32"),
    ],
)
def test_a_scope_that_covers_nothing_comes_with_the_option_that_adds_it(text: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_budgets(text, TARGETS, RECIPES)

    assert hint in (caught.value.hint or "")


def test_budgets_on_what_samples_show_need_labels() -> None:
    budgets = parse_budgets("accuracy.drop <= 1 pt", TARGETS, ())
    with pytest.raises(UserError, match=r"'accuracy.drop <= 1 pt' needs samples with labels") as caught:
        refuse_unmeasurable(budgets, "")

    assert "numpy.savez" in (caught.value.hint or "")
    refuse_unmeasurable(budgets, "accuracy")
    refuse_unmeasurable(parse_budgets("size <= 1 MB", TARGETS, ()), "")


@pytest.mark.parametrize(("metric", "hint"), [("accuracy", '--budget "accuracy >= LIMIT"'), ("auc", "")])
def test_a_budget_on_the_metric_of_another_task_is_refused(metric: str, hint: str) -> None:
    budgets = parse_budgets("map50 >= 0.9", TARGETS, ())
    refuse_unmeasurable(budgets, "map50")

    with pytest.raises(UserError, match=f"limits map50, but the metric of this model is {metric}") as caught:
        refuse_unmeasurable(budgets, metric)

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "metric", "verdict"),
    [
        ("map50 >= 0.9", "map50", Verdict.PASS),
        ("accuracy >= 90 %", "map50", Verdict.PASS),
        ("accuracy >= 98 %", "miou", Verdict.FAIL),
        ("miou.drop <= 1 pt", "miou", Verdict.INCONCLUSIVE),
        ("accuracy.drop <= 4 pt", "macro_ap", Verdict.PASS),
        ("macro_ap.drop <= 0.001", "macro_ap", Verdict.FAIL),
        ("mae <= 1", "mae", Verdict.PASS),
        ("mae <= 0.9", "mae", Verdict.FAIL),
        ("mae.drop <= 0.02", "mae", Verdict.INCONCLUSIVE),
        ("pixel_accuracy >= 10 %", "miou", Verdict.INCONCLUSIVE),
    ],
)
def test_a_budget_limits_the_metric_of_the_task(text: str, metric: str, verdict: Verdict, evidence: Report) -> None:
    rows = tuple(
        Accuracy(name, "here", metric, Estimate(0.95, 0.92, 0.97, 50), Estimate(0.96, 0.93, 0.98, 50), LOST)
        for name in (FLOAT, INT8)
    )

    check = judge_budgets(parse_budgets(text, TARGETS, RECIPES), TARGETS, replace(evidence, accuracy=rows))[0]

    assert check.verdict is verdict
    assert check.display_unit == ("points" if ".drop" in text and metric != "mae" else check.unit)


def test_a_scope_limits_its_own_artifact_and_target_alone(evidence: Report) -> None:
    targets = parse_targets("local,fake")
    texts = ("@fake: size <= 1 MB", f"{FLOAT}@local: size <= 2 MB", f"{INT8}: size <= 3 MB")

    checks = judge_budgets(parse_budgets(texts, targets, RECIPES), targets, evidence)

    assert {(one.budget.partition(":")[0], one.artifact, one.target) for one in checks} <= {
        ("@fake", FLOAT, "fake"),
        ("@fake", INT8, "fake"),
        (f"{FLOAT}@local", FLOAT, "local"),
        (INT8, INT8, "local"),
        (INT8, INT8, "fake"),
    }
    assert (FLOAT, "local") in {(one.artifact, one.target) for one in checks}


def test_a_budget_that_another_artifact_misses_is_no_scoped_budget(evidence: Report) -> None:
    budgets = parse_budgets("size <= 20 kB", TARGETS, RECIPES)

    (found,) = outcomes(budgets, judge_budgets(budgets, TARGETS, evidence), TARGETS, evidence)

    assert (found.verdict, found.chosen) == (Verdict.PASS, INT8)
    assert "scoped" not in found.reason


def test_a_budget_on_what_no_target_runs_offers_a_target() -> None:
    with pytest.raises(UserError, match="None of the targets of budget") as caught:
        parse_budgets("tflite-fp32: size <= 1 MB", parse_targets("local/onnxruntime"), parse_recipes("tflite-fp32"))

    assert caught.value.hint == "--target local"
