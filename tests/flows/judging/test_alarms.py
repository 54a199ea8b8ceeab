"""Many checks in one run: chance, patience and the policy."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from edgekit.core.budget import Budget
from edgekit.core.reports.check import Checked
from edgekit.core.reports.report import BudgetCheck, Estimate
from edgekit.core.statistics.intervals import launch_interval
from edgekit.core.system.check_settings import CheckedModel, CheckFile
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.alarms import controlled, overall, p_value, patient

FILE = CheckFile(models=(CheckedModel(path="a.onnx"),))


def result(verdict: Verdict, p: float | None = None, check: str = "latency.p50 <= 1 ms") -> Checked:
    return Checked(
        model="a", artifact="a", target="local", kind="budget", check=check, verdict=verdict, message="1 ms", p_value=p
    )


def budget(text: str, estimate: Estimate) -> BudgetCheck:
    parsed = Budget.parse(text)
    assert estimate.low is not None
    assert estimate.high is not None
    verdict = parsed.judge(estimate.low, estimate.high)
    return BudgetCheck(text, "a", "local", parsed.metric, parsed.unit, parsed.limit, estimate, verdict)


def test_one_weak_alarm_among_many_checks_is_chance() -> None:
    results = [result(Verdict.FAIL, 0.01), *(result(Verdict.PASS, 0.5) for _ in range(19))]

    found = controlled(results, 0.05)

    assert found[0].verdict is Verdict.INCONCLUSIVE
    assert "not significant among 20 checks" in found[0].message
    assert controlled(results[:1], 0.05)[0].verdict is Verdict.FAIL


def test_what_has_no_noise_takes_no_part() -> None:
    results = [result(Verdict.FAIL), *(result(Verdict.PASS, 0.5) for _ in range(19))]

    assert controlled(results, 0.05)[0].verdict is Verdict.FAIL


def test_false_alarms_over_twenty_metrics_stay_below_alpha() -> None:
    rng = np.random.default_rng(0)
    runs, count = 0, 1000
    for _ in range(count):
        checks = []
        for _ in range(20):
            interval = launch_interval(list(1e-3 * np.exp(rng.normal(0, 0.02, 8))))
            checks.append(budget("latency.p50 <= 1 ms", Estimate(interval.value, interval.low, interval.high, 8)))
        results = [result(one.verdict, p_value(one, lower_is_better=True)) for one in checks]
        runs += any(one.verdict is Verdict.FAIL for one in controlled(results, 0.05))

    assert runs / count <= 0.05 + 3 * (0.05 * 0.95 / count) ** 0.5  # three standard errors of the share


@pytest.mark.parametrize(
    ("text", "estimate", "low", "high"),
    [
        ("latency.p50 <= 1 ms", Estimate(1e-3, 0.9e-3, 1.11e-3, 8), 0.45, 0.55),
        ("latency.p50 <= 1 ms", Estimate(1.2e-3, 1.1e-3, 1.3e-3, 8), 0.0, 0.005),
        ("latency.p50 <= 1 ms", Estimate(0.8e-3, 0.7e-3, 0.9e-3, 8), 0.995, 1.0),
        ("accuracy >= 90 %", Estimate(0.8, 0.75, 0.85, 400), 0.0, 1e-3),
        ("size <= 1 kB", Estimate(2000, 2000, 2000, 1), 0.0, 0.0),
        ("size <= 1 kB", Estimate(500, 500, 500, 1), 1.0, 1.0),
    ],
)
def test_p_values_of_budgets(text: str, estimate: Estimate, low: float, high: float) -> None:
    found = p_value(budget(text, estimate), lower_is_better=">=" not in text)

    assert found is not None
    assert low <= found <= high


@pytest.mark.parametrize(
    ("text", "share", "launches"),
    [
        ("latency.p50 <= 1 ms", 0.9, 8),
        ("latency.p50 <= 1 ms", 1.005, 8),
        ("load <= 2 s", 1.03, 8),
        ("first_run <= 5 ms", 0.98, 2),
        ("memory <= 64 MiB", 1.03, 5),
    ],
)
def test_what_launches_measure_is_compared_by_student_t_on_the_log_scale(
    text: str, share: float, launches: int
) -> None:
    value, half = share * Budget.parse(text).limit, math.log(1.05)
    estimate = Estimate(value, value * math.exp(-half), value * math.exp(half), launches)
    error = half / float(stats.t.ppf(0.975, launches - 1))

    found = p_value(budget(text, estimate), lower_is_better=True)

    assert found == pytest.approx(float(stats.t.sf(math.log(share) / error, launches - 1)), rel=1e-6)


@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_rate_is_compared_as_the_time_that_it_comes_from(share: float) -> None:
    value, half = 200 * share, math.log(1.05)
    rate = Estimate(value, value * math.exp(-half), value * math.exp(half), 8)
    time = Estimate(1 / share, math.exp(-half) / share, math.exp(half) / share, 8)

    of_rate = p_value(budget("decode_rate >= 200 /s", rate), lower_is_better=False)
    of_time = p_value(budget("first_token.p50 <= 1 s", time), lower_is_better=True)

    assert of_rate == pytest.approx(of_time)
    assert (of_rate or 0.0) < 0.05 if share < 1 else (of_rate or 0.0) > 0.95


def test_a_limit_of_nothing_has_no_logarithm() -> None:
    assert p_value(budget("load <= 0 s", Estimate(1.0, 0.9, 1.1, 8)), lower_is_better=True) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("text", "value", "lower_is_better", "excess"),
    [
        ("accuracy >= 90 %", 0.88, False, 0.02),
        ("accuracy >= 90 %", 0.93, False, -0.03),
        ("accuracy.drop <= 1 pt", 0.03, True, 0.02),
        ("accuracy.drop <= 0 pt", 0.03, True, 0.03),
    ],
)
def test_a_share_is_compared_by_the_normal_distribution(
    text: str, value: float, lower_is_better: bool, excess: float
) -> None:
    error = 0.04 / float(stats.norm.ppf(0.975))

    found = p_value(budget(text, Estimate(value, value - 0.04, value + 0.04, 400)), lower_is_better=lower_is_better)

    assert found == pytest.approx(float(stats.norm.sf(excess / error)), rel=1e-9)


def test_one_launch_of_a_latency_is_compared_without_its_spread() -> None:
    found = p_value(budget("load <= 1 s", Estimate(1.5, 1.0, 2.0, 1)), lower_is_better=True)

    assert found == pytest.approx(float(stats.norm.sf(0.5 / (0.5 / float(stats.norm.ppf(0.975))))))


@pytest.mark.parametrize("estimate", [Estimate(None, 1.0, 2.0), Estimate(1.0, None, 2.0), Estimate(1.0, 0.5, None)])
def test_what_has_no_value_or_no_interval_has_no_p_value(estimate: Estimate) -> None:
    check = BudgetCheck("load <= 1 s", "a", "local", "load", "s", 1.0, estimate, Verdict.INCONCLUSIVE)

    assert p_value(check, lower_is_better=True) is None


def test_holm_upholds_each_alarm_by_itself_at_the_given_level() -> None:
    alarms = [result(Verdict.FAIL, 0.04), result(Verdict.FAIL, 0.001), result(Verdict.PASS, 0.9)]

    first, second, third = controlled(alarms, 0.05)

    assert (first.verdict, first.message) == (Verdict.INCONCLUSIVE, "1 ms; not significant among 3 checks")
    assert (second, third) == (alarms[1], alarms[2])
    assert controlled([result(Verdict.FAIL, 0.02)], 0.01)[0].verdict is Verdict.INCONCLUSIVE
    assert controlled([result(Verdict.FAIL, 0.0)], 0.01)[0].verdict is Verdict.FAIL


@pytest.mark.parametrize("policy", ["report", "fail"])
def test_another_policy_has_no_patience_to_lose(policy: str) -> None:
    file = msgspec.structs.replace(FILE, inconclusive=policy)

    found = patient([result(Verdict.INCONCLUSIVE), result(Verdict.PASS)], file, lambda key: 20)

    assert [(one.verdict, one.in_a_row) for one in found] == [(Verdict.INCONCLUSIVE, 21), (Verdict.PASS, 0)]


def test_each_check_has_a_count_of_its_own() -> None:
    checks = [result(Verdict.INCONCLUSIVE, check=name) for name in ("size <= 1 kB", "load <= 1 s")]
    before = {checks[0].key: 3, checks[1].key: 5}

    assert [one.in_a_row for one in patient(checks, FILE, before.__getitem__)] == [4, 6]


def test_the_tenth_inconclusive_run_in_a_row_fails_with_that_reason() -> None:
    undecided = [result(Verdict.INCONCLUSIVE)]

    ninth, tenth = (patient(undecided, FILE, lambda key, before=before: before)[0] for before in (8, 9))  # type: ignore[misc]  # a default binds it

    assert (ninth.verdict, ninth.in_a_row) == (Verdict.INCONCLUSIVE, 9)
    assert (tenth.verdict, tenth.in_a_row) == (Verdict.FAIL, 10)
    assert tenth.message == "inconclusive in 10 runs in a row (limit 10); the last: 1 ms"


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [("pass", Verdict.PASS), ("report", Verdict.INCONCLUSIVE), ("fail", Verdict.FAIL)],
)
def test_the_policy_decides_what_undecided_means(policy: str, verdict: Verdict) -> None:
    file = msgspec.structs.replace(FILE, inconclusive=policy)

    assert overall([result(Verdict.PASS), result(Verdict.INCONCLUSIVE)], file) is verdict
    assert overall([result(Verdict.FAIL), result(Verdict.INCONCLUSIVE)], file) is Verdict.FAIL
    assert overall([result(Verdict.PASS)], file) is Verdict.PASS
