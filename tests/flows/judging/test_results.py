"""The results of one model: which artifacts are judged, and what each result says."""

from __future__ import annotations

from typing import Any, cast

import pytest
from msgspec.structs import replace

from edgekit.core.budget import Budget
from edgekit.core.bundle import Artifact
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.report import BudgetCheck, Estimate, Missing, Outcome, ParityCheck, Report
from edgekit.core.system.check_settings import CheckedModel
from edgekit.core.target import parse_targets
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.alarms import p_value
from edgekit.flows.judging.gate import Gated
from edgekit.flows.judging.results import budget_results, device_results, judged_artifacts, parity_results

(LOCAL,) = parse_targets("local")
FLOAT, HALF, INT8 = "onnx-fp32", "onnx-fp16", "onnx-int8-static-u8s8"


def gated(*artifacts: str) -> Gated:
    nothing_opened = cast(Any, None)
    return Gated(CheckedModel(path="net.onnx", artifact=artifacts), nothing_opened, (), None, (LOCAL,), ())


def artifact(recipe: str) -> Artifact:
    return Artifact(recipe, f"{recipe}.onnx", "onnx", "fp32", 1, "0" * 64, "1" * 64, (), ())


def budget(artifact: str, verdict: Verdict, estimate: Estimate, text: str = "latency.p50 <= 1 ms") -> BudgetCheck:
    parsed = Budget.parse(text)
    return BudgetCheck(text, artifact, "local", parsed.metric, parsed.unit, parsed.limit, estimate, verdict)


NEAR, FAR = Estimate(1.2e-3, 1.1e-3, 1.3e-3, 8), Estimate(9e-3, 8e-3, 10e-3, 8)
REPORT = Report(
    command="check",
    created="now",
    artifacts=(artifact(FLOAT), artifact(HALF), artifact(INT8)),
    outcomes=(Outcome("pi5", Verdict.PASS, HALF), Outcome("local", Verdict.PASS, INT8)),
)


def test_the_chosen_artifact_of_the_target_is_judged() -> None:
    assert judged_artifacts(gated(), REPORT, LOCAL) == (INT8,)


def test_artifacts_that_the_file_names_are_judged_whatever_was_chosen() -> None:
    assert judged_artifacts(gated("onnx-fp16", "onnx-int8"), REPORT, LOCAL) == (HALF, INT8)


def test_where_none_is_chosen_those_as_good_as_the_outcome_are_judged() -> None:
    undecided = replace(REPORT, outcomes=(Outcome("local", Verdict.INCONCLUSIVE),))
    budgets = (budget(FLOAT, Verdict.FAIL, FAR), budget(INT8, Verdict.INCONCLUSIVE, NEAR))
    elsewhere = replace(budget(HALF, Verdict.INCONCLUSIVE, NEAR), target="pi5")

    assert judged_artifacts(gated(), replace(undecided, budgets=(*budgets, elsewhere)), LOCAL) == (INT8,)
    assert judged_artifacts(gated(), undecided, LOCAL) == (FLOAT, HALF, INT8)


def parity(artifact: str, verdict: Verdict, output: str = "logits", **changes: Any) -> ParityCheck:
    check = ParityCheck(artifact, "onnxruntime", "N=1", output, "difference", 0.5, 0.25, verdict)
    return replace(check, **changes)


def test_parity_is_one_result_for_each_judged_artifact_and_for_each_that_is_wrong() -> None:
    checks = (
        parity(FLOAT, Verdict.PASS),
        parity(FLOAT, Verdict.PASS, "boxes"),
        parity(HALF, Verdict.PASS),
        parity(INT8, Verdict.PASS, "boxes"),
        parity(INT8, Verdict.FAIL, value=7.5),
    )

    found = list(parity_results(gated(), replace(REPORT, parity=checks), LOCAL, (FLOAT,)))

    assert [(one.artifact, one.verdict, one.message) for one in found] == [
        (FLOAT, Verdict.PASS, "2 of 2 comparisons with PyTorch agree"),
        (INT8, Verdict.FAIL, "output 'logits' has difference 7.5 (limit 0.25), N=1"),
    ]
    assert {(one.model, one.target, one.kind, one.check) for one in found} == {("net", "local", "parity", "parity")}


def test_an_output_that_none_could_judge_leaves_parity_undecided_with_the_reason() -> None:
    checks = (
        parity(FLOAT, Verdict.PASS, "boxes"),
        parity(FLOAT, Verdict.INCONCLUSIVE, reason="not judged: the reference is unstable"),
    )

    (found,) = parity_results(gated(), replace(REPORT, parity=checks), LOCAL, (FLOAT,))

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.message == "output 'logits' was not judged: the reference is unstable"


def test_what_another_run_could_measure_is_told_and_the_rest_where_nothing_ran() -> None:
    missing = (
        Missing(FLOAT, "local", "away", "no response"),
        Missing(HALF, "local", "unable", "no such operator"),
        Missing(INT8, "pi5", "away", "no response"),
    )
    ran = (Measurement("local", INT8, "latency", "s", (Launch(0, (1e-3,)),)),)
    some, none = (replace(REPORT, missing=missing, measurements=measurements) for measurements in (ran, ()))

    assert [one.artifact for one in device_results(gated(), none, LOCAL)] == [FLOAT, HALF]
    (found,) = device_results(gated(), some, LOCAL)
    assert (found.model, found.artifact, found.target, found.message) == ("net", FLOAT, "local", "no response")
    assert (found.kind, found.check, found.verdict) == ("device", "measured", Verdict.INCOMPLETE)


def test_each_budget_of_a_judged_artifact_on_the_target_is_a_result() -> None:
    near = budget(FLOAT, Verdict.FAIL, NEAR)
    checks = (near, budget(INT8, Verdict.FAIL, FAR), replace(near, target="pi5"))

    (found,) = budget_results(gated(), replace(REPORT, budgets=checks), LOCAL, (FLOAT,))

    assert (found.model, found.artifact, found.target, found.kind) == ("net", FLOAT, "local", "budget")
    assert (found.check, found.metric, found.unit) == ("latency.p50 <= 1 ms", "latency", "s")
    assert (found.verdict, found.estimate) == (Verdict.FAIL, NEAR)
    assert found.p_value == p_value(near, lower_is_better=True)
    assert found.message.startswith("1.2")


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (Estimate(None, reason="it drifts"), "it drifts"),
        (Estimate(0.8, 0.7, 0.9, 50, reason="50 samples"), "80.00 % [70.00, 90.00]; 50 samples"),
    ],
)
def test_a_result_says_the_figure_and_why_it_is_not_enough(estimate: Estimate, message: str) -> None:
    check = budget(FLOAT, Verdict.INCONCLUSIVE, estimate, "accuracy >= 85 %")

    (found,) = budget_results(gated(), replace(REPORT, budgets=(check,)), LOCAL, (FLOAT,))

    assert found.message == message
    assert found.p_value == p_value(check, lower_is_better=False)
