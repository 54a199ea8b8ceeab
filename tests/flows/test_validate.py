"""Weights are held against what their card says of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import EnvironmentFault, ModelUnreadable, UserError
from edgekit.core.verdict import Verdict
from edgekit.flows.export import export
from edgekit.flows.opening.source import SourceOptions
from edgekit.flows.train import train
from edgekit.flows.validate import is_trained, validate, validate_quality
from edgekit.report.rows import judged_on


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


@pytest.fixture
def bundle(nets: Path, digit_samples: Path, tmp_path: Path) -> Path:
    """A bundle of which only the first samples travel: 64 of the 180 held back."""
    options = SourceOptions(samples=digit_samples, calibration=60)
    export(f"{nets}:small", to="onnx-fp32", out=tmp_path / "a" / "b" / "digits-bundle", options=options)
    return tmp_path / "a" / "b" / "digits-bundle"


@pytest.mark.slow
def test_the_accuracy_of_a_bundle_is_that_of_all_samples_held_back_where_they_are_found(
    bundle: Path, digit_samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It printed 100 % of the 64 that travel, without saying so, where build had said 93.87 % of all.
    shutil.copy(digit_samples, tmp_path / "elsewhere.npz")
    np.savez(tmp_path / "other.npz", x=np.eye(64, dtype=np.float32).reshape(64, 1, 8, 8), label=np.arange(64) % 3)

    found = [validate(bundle).accuracy[0], validate(bundle, samples=tmp_path / "elsewhere.npz").accuracy[0]]
    monkeypatch.chdir(tmp_path)
    found.append(validate(bundle).accuracy[0])
    with pytest.raises(UserError, match=r"does not contain the samples that .* was evaluated on"):
        validate(bundle, samples=tmp_path / "other.npz")

    assert [one.quality.n for one in found] == [64, 180, 180]
    assert {one.drop.n for one in found} == {64}
    assert judged_on(validate(bundle)) == (
        "accuracy on all 180 held-back samples of digits.npz; the drop on 64 of the 180 held-back samples of digits.npz"
    )
