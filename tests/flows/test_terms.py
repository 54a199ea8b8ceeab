"""Samples of data whose terms restrict passing them on travel in no bundle unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import edgekit
from edgekit.core.bundle import CASES, SAMPLES, Bundle
from edgekit.core.errors import UserError
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.opening.source import SourceOptions, open_source
from edgekit.flows.train import train
from edgekit.flows.validate import validate
from edgekit.train.registry import MODELS


@pytest.fixture
def restricted(monkeypatch: pytest.MonkeyPatch) -> str:
    """`xor`, as if its data were not ours to pass on."""
    model = replace(MODELS.get("xor"), terms="terms of xor: non-commercial research")
    monkeypatch.setitem(MODELS._cache, "xor", model)
    return "xor"


def test_a_source_carries_the_terms_of_its_data_until_they_are_waived(restricted: str) -> None:
    kept_back = open_source(restricted, SourceOptions(), Settings())
    included = open_source(restricted, SourceOptions(include_samples=True), Settings())

    assert kept_back.terms == "terms of xor: non-commercial research"
    assert "--include-samples adds them" in kept_back.warnings[0]
    assert (included.terms, included.warnings) == ("", ())


def test_samples_of_ones_own_need_no_leave() -> None:
    with pytest.raises(UserError, match="--include-samples does not apply to"):
        open_source("net.py:net", SourceOptions(include_samples=True), Settings())


@pytest.mark.slow
@pytest.mark.parametrize("include", [False, True])
def test_a_bundle_holds_samples_only_when_it_may(restricted: str, tmp_path: Path, include: bool) -> None:
    options = SourceOptions(include_samples=include)

    report = export(restricted, to="onnx-fp32", out=tmp_path / "bundle", options=options)

    assert report.parity
    with Bundle.open(tmp_path / "bundle") as bundle:
        assert (SAMPLES in bundle.manifest.files, CASES in bundle.manifest.files) == (include, include)
    if include:
        validate(tmp_path / "bundle")
    else:
        with pytest.raises(UserError) as problem:
            validate(tmp_path / "bundle")
        assert problem.value.hint.endswith("or export it with --include-samples")


@pytest.mark.slow
def test_a_build_without_samples_warns_of_parity_where_it_was_not_checked(restricted: str, tmp_path: Path) -> None:
    # The report said that parity had passed, and that it had not been checked.
    def warnings(target: str) -> list[str]:
        where = tmp_path / target
        report = edgekit.build(restricted, to="onnx-fp32", target=target, out=where, launches=2, time_limit_s=0.01)
        assert report.parity
        return [one for one in report.warnings if one.startswith("Parity")]

    assert warnings("local") == []
    assert warnings("local,fake") == ["Parity was not checked on fake: there are no reference outputs."]


@pytest.mark.slow
def test_a_run_directory_brings_its_history_into_the_source(tmp_path: Path) -> None:
    train("xor", out=tmp_path / "run", overrides={"epochs": "2", "passes": "5", "restarts": "0"})

    source = open_source(str(tmp_path / "run"), SourceOptions(), Settings())

    assert source.training is not None
    assert len(source.training.epochs) == 2
