from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, ModelUnreadable
from edgekit.core.reports.report import Estimate
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.quality import agreement, is_trained, validate_quality
from edgekit.flows.train import train


def estimate(value: float, low: float = 0.0, high: float = 1.0, n: int = 1000) -> Estimate:
    return Estimate(value, low, high, n)


@pytest.mark.parametrize(
    ("metric", "found", "card", "same", "agrees"),
    [
        ("accuracy", estimate(0.992), estimate(0.990), True, True),
        ("accuracy", estimate(0.993), estimate(0.990), True, False),
        ("accuracy", estimate(0.75, n=4), estimate(1.0, n=4), True, False),
        ("mse", estimate(1.0005e-4), estimate(1e-4), True, True),
        ("mse", estimate(1.01e-4), estimate(1e-4), True, False),
        ("accuracy", estimate(0.95, 0.94, 0.96), estimate(0.97, 0.96, 0.98), False, True),
        ("accuracy", estimate(0.94, 0.93, 0.95), estimate(0.97, 0.96, 0.98), False, False),
        ("accuracy", estimate(0.94, 0.93, 0.95), Estimate(0.94, reason="one draw"), False, False),
        ("accuracy", Estimate(None, reason="no labels"), estimate(0.9), True, False),
    ],
)
def test_figures_agree_when_only_rounding_lies_between_them(
    metric: str, found: Estimate, card: Estimate, same: bool, agrees: bool
) -> None:
    assert agreement(metric, found, card, same_data=same)[0] is agrees


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "xor", "regression"])
def test_shipped_weights_are_as_good_as_their_card_says(name: str) -> None:
    report = validate_quality(name)

    assert report.verdict is Verdict.PASS
    assert report.same_data
    assert report.quality.value == pytest.approx(report.card.value, rel=1e-3)


@pytest.mark.slow
def test_a_run_is_held_against_its_own_record(tmp_path: Path) -> None:
    train("xor", out=tmp_path / "run", overrides={"epochs": "1", "passes": "5", "restarts": "0"})

    report = validate_quality(str(tmp_path / "run"))

    assert is_trained(str(tmp_path / "run"))
    assert report.verdict is Verdict.PASS
    assert report.model == "xor"


def test_weights_that_are_not_shipped_name_the_way() -> None:
    with pytest.raises(EnvironmentFault) as problem:
        validate_quality("cifar-resnet8")

    assert problem.value.hint.endswith("then edgekit validate runs/cifar-resnet8")


def test_other_weights_than_those_of_the_card_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "xor.safetensors"
    other.write_bytes(b"other")
    monkeypatch.setattr("edgekit.train.weights.shipped_weights", lambda name: other)

    with pytest.raises(ModelUnreadable, match="not the file that its card describes"):
        validate_quality("xor")
