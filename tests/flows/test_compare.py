"""Comparing: real launches where the difference is several-fold, the fake device and made reports for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.flows.scripted import fake_model

from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.report import Report
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.compare import compare, compare_order


def report(path: Path, latency_s: float, *, artifact: str = "onnx-fp32", spread: float = 0.002, **changes: Any) -> str:
    launches = tuple(Launch(order, (latency_s * (1 + spread * order),) * 40) for order in range(8))
    measurement = Measurement("local", artifact, "latency", "s", launches, {"N": 1})
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 2)),), ())
    facts = {"local": Facts(cpu="one", architecture="x86_64", governor="performance")}
    made = Report(command="profile", created="now", spec=spec, measurements=(measurement,), facts=facts)
    documents.write(path, msgspec.structs.replace(made, **changes))
    return str(path)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    return fake_model(tmp_path / "slow.fake.json", delay_s=4e-3)


@pytest.fixture
def fast(tmp_path: Path) -> Path:
    return fake_model(tmp_path / "fast.fake.json", delay_s=5e-4)


@pytest.mark.slow
def test_real_launches_of_a_model_that_is_several_times_slower(slow: Path, fast: Path) -> None:
    found = compare(fast, slow, launches=5, time_limit_s=0.02)

    assert found.verdict is Verdict.FAIL
    assert found.pairs[0].says == "slower"
    assert found.pairs[0].ratio.value is not None
    assert found.pairs[0].ratio.value > 2
    assert {one.artifact for one in found.measurements} == {"slow.fake", "fast.fake"}
    assert compare(slow, fast, launches=5, time_limit_s=0.02).verdict is Verdict.PASS


def test_a_model_is_as_fast_as_itself(slow: Path) -> None:
    found = compare(slow, slow, target="fake")

    assert (found.verdict, found.pairs[0].says) == (Verdict.PASS, "equal")


def test_an_effect_that_is_too_small_to_count_is_no_failure(slow: Path, fast: Path) -> None:
    found = compare(slow, fast, target="fake", settings=Settings(minimum_effect=1.0))

    assert found.verdict is Verdict.PASS


def test_a_plan_names_what_would_be_measured(slow: Path, fast: Path) -> None:
    with compare_order(fast, slow, target="fake,local") as order:
        steps = order.steps()

    assert len(steps) == 2
    assert "8 pairs" in steps[0]


def test_other_inputs_are_refused(slow: Path, tmp_path: Path) -> None:
    other = fake_model(tmp_path / "other.fake.json", name="z")

    with pytest.raises(UserError, match=r"inputs differ: x:float32\[N,2\] and z:float32\[N,2\]"):
        compare(slow, other, target="fake")


@pytest.mark.parametrize(
    ("latency_s", "says", "verdict"),
    [(1.2e-3, "slower", Verdict.FAIL), (1e-3, "equal", Verdict.PASS), (0.8e-3, "faster", Verdict.PASS)],
)
def test_two_reports_are_compared_by_launch(tmp_path: Path, latency_s: float, says: str, verdict: Verdict) -> None:
    found = compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", latency_s))

    assert (found.pairs[0].says, found.verdict) == (says, verdict)
    assert found.pairs[0].p_value is not None


def test_reports_that_are_too_noisy_are_inconclusive_and_say_what_could_be_seen(tmp_path: Path) -> None:
    found = compare(report(tmp_path / "a.json", 1e-3, spread=0.1), report(tmp_path / "b.json", 1e-3, spread=0.1))

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.pairs[0].detectable is not None
    assert found.pairs[0].detectable > 0.03


def test_facts_that_differ_are_listed(tmp_path: Path) -> None:
    there = {"local": Facts(cpu="one", architecture="x86_64", governor="powersave")}

    found = compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", 1e-3, facts=there))

    assert found.pairs[0].differing == ("governor: performance and powersave",)


def test_two_lone_measurements_are_a_pair_whatever_their_names(tmp_path: Path) -> None:
    other = report(tmp_path / "b.json", 1e-3, artifact="onnx-int8-static-u8s8")

    found = compare(report(tmp_path / "a.json", 1e-3), other)

    assert (found.pairs[0].a, found.pairs[0].b) == ("onnx-fp32", "onnx-int8-static-u8s8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"facts": {"local": Facts(cpu="two", architecture="x86_64")}}, "devices differ: 'one' and 'two'"),
        ({"spec": ModelSpec("net", "other", (TensorSpec("z", "float32", ("N", 2)),), ())}, "inputs differ"),
        ({"measurements": ()}, "no target and artifact in common"),
        ({"measurements": (Measurement("local", "onnx-fp32", "latency", "cycles", ()),)}, "in cycles at"),
    ],
)
def test_reports_of_different_things_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        compare(report(tmp_path / "a.json", 1e-3), report(tmp_path / "b.json", 1e-3, **changes))


def test_a_report_beside_an_artifact_is_refused(tmp_path: Path, slow: Path) -> None:
    with pytest.raises(UserError, match="only be compared with a report"):
        compare(report(tmp_path / "a.json", 1e-3), slow)
