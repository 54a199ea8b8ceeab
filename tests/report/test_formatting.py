from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.reports.report import BudgetCheck, Estimate
from edgekit.core.verdict import Verdict
from edgekit.report import formatting


@dataclass(frozen=True)
class Case:
    estimate: Estimate
    unit: str
    value: str
    interval: str = ""


CASES = [
    Case(Estimate(0.00331), "s", "3.31 ms"),
    Case(Estimate(0.00331, 0.0031, 0.0035), "s", "3.31 ms", "[3.10, 3.50]"),
    Case(Estimate(0.00331, 0.003305, 0.003315), "s", "3.310 ms", "[3.305, 3.315]"),
    Case(Estimate(999.6e-6), "s", "1.00 ms"),
    Case(Estimate(2.5), "s", "2.50 s"),
    Case(Estimate(3e-10), "s", "0.300 ns"),
    Case(Estimate(0.0), "s", "0 ns"),
    Case(Estimate(58_120), "bytes", "58.1 kB"),
    Case(Estimate(512), "bytes", "512 B"),
    Case(Estimate(3.2e9), "bytes", "3.20 GB"),
    Case(Estimate(0.98891, 0.9718, 0.9957), "ratio", "98.89 %", "[97.18, 99.57]"),
    Case(Estimate(-0.0028, -0.01, 0.005), "points", "-0.28 pt", "[-1.00, 0.50]"),
    Case(Estimate(-0.000001, -0.01, 0.01), "points", "0.00 pt", "[-1.00, 1.00]"),
    Case(Estimate(41.23), "dB", "41.2 dB"),
    Case(Estimate(3.2e-7), "1", "3.2e-07"),
    Case(Estimate(None, reason="no labels"), "ratio", "–"),
    Case(Estimate(math.nan), "s", "–"),
    Case(Estimate(100.0, 100.0, 100.0), "bytes", "100 B"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.value} {case.interval}")
def test_values_carry_their_unit_and_intervals_its_scale(case: Case) -> None:
    assert formatting.quantity(case.estimate, case.unit) == case.value
    assert formatting.interval(case.estimate, case.unit) == case.interval


@given(
    value=st.floats(1e-8, 1e3),
    below=st.floats(0, 0.9),
    above=st.floats(0, 9),
    unit=st.sampled_from(["s", "bytes", "1"]),
)
def test_a_value_never_leaves_its_interval_by_rounding(value: float, below: float, above: float, unit: str) -> None:
    estimate = Estimate(value, value * (1 - below), value * (1 + above))

    number = float(formatting.quantity(estimate, unit).split(" ")[0])
    text = formatting.interval(estimate, unit)

    if text:
        low, high = map(float, text.strip("[]").split(", "))
        assert low <= number <= high


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\nb\tc", "a b c"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("abc\u202egnp.exe", "abc\ufffdgnp.exe"),
        ("\ud800", "\ufffd"),
        ("Zürich 東京", "Zürich 東京"),
    ],
)
def test_text_stands_on_one_line_and_cannot_steer_a_terminal(text: str, shown: str) -> None:
    assert formatting.clean(text) == shown


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert formatting.shortened("abcdef", 6) == "abcdef"
    assert formatting.shortened("abcdefg", 6) == "abcde…"


@pytest.mark.parametrize(
    ("verdict", "excess", "text"),
    [
        (Verdict.FAIL, 0.0003, "300 µs over"),
        (Verdict.FAIL, -0.0003, "300 µs under"),
        (Verdict.PASS, -0.0003, ""),
        (Verdict.FAIL, None, ""),
    ],
)
def test_only_a_missed_budget_says_by_how_much(verdict: Verdict, excess: float | None, text: str) -> None:
    check = BudgetCheck("latency.p90 <= 1 ms", "a", "local", "latency", "s", 1e-3, Estimate(1e-3), verdict, excess)

    assert formatting.beyond(check) == text


@pytest.mark.parametrize(
    ("count", "noun", "text"), [(1, "launch", "1 launch"), (6, "launch", "6 launches"), (1800, "call", "1,800 calls")]
)
def test_counts_agree_with_their_noun(count: int, noun: str, text: str) -> None:
    assert formatting.plural(count, noun) == text


@pytest.mark.parametrize(("value", "shown"), [(121_809.8, "122,000"), (7.414, "7.41"), (99.96, "100"), (None, "–")])
def test_rates_have_three_digits(value: float | None, shown: str) -> None:
    assert formatting.rate(Estimate(value)) == shown
