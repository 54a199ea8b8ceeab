"""A reference model with shipped weights is exported where its data set is not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.core.errors import EnvironmentFault
from edgekit.core.system.settings import Settings
from edgekit.flows.opening.source import SourceOptions, open_source


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEKIT_DATA", raising=False)
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path))


def test_the_samples_that_come_along_are_used_and_said_so() -> None:
    source = open_source("mnist", SourceOptions(), Settings())

    assert len(source.split.calibration) + len(source.split.evaluation) == 64
    assert "64 shipped samples" in source.warnings[0]


def test_data_that_is_needed_and_missing_names_the_way() -> None:
    with pytest.raises(EnvironmentFault, match="not on this machine"):
        open_source("cifar-resnet8", SourceOptions(weights=Path("any.safetensors")), Settings())
