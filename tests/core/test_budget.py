"""Promises of core/budget.py."""

from __future__ import annotations

import contextlib
import string
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.budget import METRICS, Budget
from edgekit.core.errors import UserError
from edgekit.core.verdict import Verdict


@dataclass(frozen=True)
class Good:
    text: str
    metric: str
    limit: float
    quantile: float | None = None
    artifact: str = ""
    target: str = ""
    unit: str = "s"


@pytest.mark.parametrize(
    "case",
    [
        Good("latency.p90 <= 8 ms", "latency", 0.008, 0.9),
        Good("latency.p50<=250us", "latency", 250e-6, 0.5),
        Good("latency.p99.9 <= 1 s", "latency", 1.0, 0.999),
        Good("latency.p0.5 <= 1 s", "latency", 1.0, 0.005),
        Good("  latency.p90   <=   8   ms  ", "latency", 0.008, 0.9),
        Good("load <= 2 s", "load", 2.0),
        Good("realtime.p90 <= 0.2", "realtime", 0.2, 0.9, unit="1"),
        Good("first_token.p90 <= 50 ms", "first_token", 0.05, 0.9),
        Good("decode_rate >= 200 /s", "decode_rate", 200.0, unit="1/s"),
        Good("prefill_rate >= 2e3", "prefill_rate", 2000.0, unit="1/s"),
        Good("first_run <= 100 ms", "first_run", 0.1),
        Good("memory <= 64 MiB", "memory", 64 * 2**20, unit="bytes"),
        Good("size <= 100 kB", "size", 1e5, unit="bytes"),
        Good("accuracy >= 98.5 %", "accuracy", 0.985, unit="ratio"),
        Good("accuracy >= 0.985", "accuracy", 0.985, unit="ratio"),
        Good("accuracy >= 100 %", "accuracy", 1.0, unit="ratio"),
        Good("accuracy.drop <= 1 pt", "accuracy.drop", 0.01, unit="ratio"),
        Good("accuracy.drop <= -0.5 pt", "accuracy.drop", -0.005, unit="ratio"),
        Good("sqnr >= 30 dB", "sqnr", 30.0, unit="dB"),
        Good("onnx-int8@pi5: latency.p90 <= 8 ms", "latency", 0.008, 0.9, "onnx-int8", "pi5"),
        Good("onnx-int8-static-u8s8: size <= 1 MB", "size", 1e6, None, "onnx-int8-static-u8s8", unit="bytes"),
        Good("@pi5: latency.p90 <= 8 ms", "latency", 0.008, 0.9, "", "pi5"),
        Good(
            "onnx-fp32@pi5/onnxruntime@threads=4@provider=cpu: latency.p90 <= 8 ms",
            "latency",
            0.008,
            0.9,
            "onnx-fp32",
            "pi5/onnxruntime@provider=cpu@threads=4",
        ),
    ],
    ids=lambda case: case.text,
)
def test_a_budget_text_is_read_to_si(case: Good) -> None:
    budget = Budget.parse(case.text)

    assert budget.text == case.text.strip()
    assert budget.limit == pytest.approx(case.limit, rel=1e-12)
    assert (budget.metric, budget.quantile, budget.artifact, budget.target, budget.unit) == (
        case.metric,
        case.quantile,
        case.artifact,
        case.target,
        case.unit,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a budget."),
        ("fast", "'fast' is not a budget."),
        ("latency.p90 <=", "'latency.p90 <=' is not a budget."),
        ("8 ms >= latency.p90", "'8 ms >= latency.p90' is not a budget."),
        ("latency <= 8 ms", "Unknown budget metric 'latency'. Did you mean 'latency.p99'?"),
        ("latency.p100 <= 8 ms", "Unknown budget metric 'latency.p100'. Did you mean 'latency.p"),
        ("latency.p0 <= 8 ms", "Unknown budget metric 'latency.p0'. Did you mean 'latency.p"),
        ("latency.mean <= 8 ms", "Unknown budget metric 'latency.mean'. Did you mean 'latency.p"),
        ("latncy.p90 <= 8 ms", "Unknown budget metric 'latncy.p90'. Did you mean 'latency.p90'?"),
        ("latncy.p50 <= 8 ms", "Unknown budget metric 'latncy.p50'. Did you mean 'latency.p50'?"),
        ("accuracy.dorp <= 1 pt", "Unknown budget metric 'accuracy.dorp'. Did you mean 'accuracy.drop'?"),
        ("Size <= 1 kB", "Unknown budget metric 'Size'. Did you mean 'size'?"),
        ("size >= 1 kB", "Budget 'size >= 1 kB': 'size' requires '<=', got '>='."),
        ("size < 1 kB", "Budget 'size < 1 kB': 'size' requires '<=', got '<'."),
        ("size = 1 kB", "Budget 'size = 1 kB': 'size' requires '<=', got '='."),
        ("decode_rate <= 9", "Budget 'decode_rate <= 9': 'decode_rate' requires '>=', got '<='."),
        ("decode_rate >= 9 ms", "Unknown unit 'ms'."),
        ("first_token <= 1 s", "Unknown budget metric 'first_token'. Did you mean 'first_token.p"),
        ("accuracy <= 98 %", "Budget 'accuracy <= 98 %': 'accuracy' requires '>=', got '<='."),
        ("latency.p90 <= 8", "Unknown unit ''."),
        ("latency.p90 <= 8 kB", "Unknown unit 'kB'."),
        ("size <= 100 KB", "Unknown unit 'KB'. Did you mean 'kB'?"),
        ("size <= 1e999 kB", "'1e999 kB' is not a number"),
        ("accuracy >= 1.5", "Budget 'accuracy >= 1.5': the limit of 'accuracy' must be at most 1 (100 %)."),
        ("accuracy >= 98", "Budget 'accuracy >= 98': the limit of 'accuracy' must be at most 1 (100 %)."),
        (
            "accuracy.drop <= 1",
            "Budget 'accuracy.drop <= 1': the limit of 'accuracy.drop' must be less than 1 (100 pt).",
        ),
        ("onnx-int9: size <= 1 kB", "Unknown recipe 'onnx-int9'. Did you mean 'onnx-int8'?"),
        (": size <= 1 kB", "The scope before ':' is empty."),
        ("onnx-int8@: size <= 1 kB", "'' is not DEVICE[/BACKEND][@key=value]."),
        ("@pi5@thread=2: size <= 1 kB", "Unknown target option 'thread'. Did you mean 'threads'?"),
    ],
)
def test_a_wrong_budget_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        Budget.parse(text)

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("accuracy.drop <= 1", '--budget "accuracy.drop <= 1 pt"'),
        ("accuracy >= 98", '--budget "accuracy >= 98 %"'),
        ("accuracy.drop <= 150 pt", ""),
        ("fast", '--budget "latency.p90 <= 8 ms"'),
        ("speed <= 8 ms", '--budget "latency.p90 <= 8 ms"'),
        (": size <= 1 kB", '--budget "onnx-int8@pi5: latency.p90 <= 8 ms"'),
    ],
)
def test_a_wrong_budget_comes_with_one_that_is_right(text: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        Budget.parse(text)

    assert hint in (caught.value.hint or "")
    assert bool(caught.value.hint) is bool(hint)


def test_a_budget_is_a_value() -> None:
    assert len({Budget.parse("size <= 1 kB"), Budget.parse("size <= 1 kB")}) == 1


@given(st.text(alphabet=string.printable, max_size=40))
def test_any_text_is_a_budget_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert Budget.parse(text).metric in METRICS


@pytest.mark.parametrize(
    ("text", "low", "high", "verdict"),
    [
        ("latency.p90 <= 8 ms", 0.006, 0.008, Verdict.PASS),
        ("latency.p90 <= 8 ms", 0.0081, 0.009, Verdict.FAIL),
        ("latency.p90 <= 8 ms", 0.008, 0.009, Verdict.INCONCLUSIVE),
        ("accuracy >= 98 %", 0.98, 0.99, Verdict.PASS),
        ("accuracy >= 98 %", 0.95, 0.9799, Verdict.FAIL),
        ("accuracy >= 98 %", 0.97, 0.98, Verdict.INCONCLUSIVE),
        ("accuracy.drop <= 1 pt", -0.01, 0.01, Verdict.PASS),
        ("accuracy.drop <= 1 pt", 0.011, 0.02, Verdict.FAIL),
        ("accuracy.drop <= 1 pt", 0.0, 0.02, Verdict.INCONCLUSIVE),
        ("decode_rate >= 200", 200, 210, Verdict.PASS),
        ("decode_rate >= 200", 180, 199, Verdict.FAIL),
        ("decode_rate >= 200", 190, 210, Verdict.INCONCLUSIVE),
        ("size <= 1 kB", 1000, 1000, Verdict.PASS),
        ("size <= 1 kB", 1001, 1001, Verdict.FAIL),
        ("latency.p90 <= 8 ms", float("nan"), float("nan"), Verdict.INCONCLUSIVE),
        ("accuracy >= 98 %", float("nan"), float("nan"), Verdict.INCONCLUSIVE),
    ],
)
def test_a_budget_passes_or_fails_only_when_the_whole_interval_does(
    text: str, low: float, high: float, verdict: Verdict
) -> None:
    assert Budget.parse(text).judge(low, high) == verdict


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["accuracy >= 50 %", "accuracy.drop <= 50 pt"]))
def test_a_wider_interval_never_decides_the_other_way(one: float, other: float, text: str) -> None:
    budget = Budget.parse(text)
    low, high = sorted((one, other))

    narrow = {budget.judge(low, low), budget.judge(high, high)}

    assert budget.judge(low, high) == (narrow.pop() if len(narrow) == 1 else Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("scope", "artifact", "target", "applies"),
    [
        ("", "onnx-fp32", "local", True),
        ("onnx-int8:", "onnx-int8-static-u8s8", "local", True),
        ("onnx-int8:", "onnx-fp32", "local", False),
        ("onnx-int8@pi5:", "onnx-int8-dynamic", "pi5/onnxruntime@threads=4", True),
        ("onnx-int8@pi5:", "onnx-int8-dynamic", "pi5@threads=4", True),
        ("onnx-int8@pi5:", "onnx-int8-dynamic", "pi55", False),
        ("@pi5@threads=4@provider=cpu:", "onnx-fp32", "pi5@provider=cpu@threads=4", True),
    ],
)
def test_a_scope_names_what_is_judged(scope: str, artifact: str, target: str, applies: bool) -> None:
    assert Budget.parse(f"{scope} size <= 1 kB").applies_to(artifact, target) is applies
