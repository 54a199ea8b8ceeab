"""Weights are held against what their card says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault, ModelUnreadable
from edgekit.core.verdict import Verdict
from edgekit.flows.train import train
from edgekit.flows.validate import is_trained, validate_quality


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

    with pytest.raises(ModelUnreadable, match="does not match its model card"):
        validate_quality("xor")
