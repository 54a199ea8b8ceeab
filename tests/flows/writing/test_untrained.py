"""A network without trained weights is named as such everywhere, and its accuracy passes no budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict
from edgekit.flows.export import export
from edgekit.flows.opening.source import ExportOptions, SourceOptions
from edgekit.flows.validate import validate

pytestmark = pytest.mark.slow

SAID = "weights: random initialisation"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceOptions:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "s.npz", x=rng.random((64, 4), dtype="f4"), label=rng.integers(0, 3, 64))
    package = tmp_path / "some_nets"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "small.py").write_text("from torch import nn\n\ndef make(width):\n    return nn.Linear(4, width)\n")
    monkeypatch.chdir(tmp_path)
    return SourceOptions(samples=tmp_path / "s.npz")


def test_a_call_of_a_package_is_built_and_said_to_be_untrained(options: SourceOptions, tmp_path: Path) -> None:
    report = edgekit.build(
        "some_nets.small:make(3)",
        out="made",
        to="onnx-fp32",
        budget="accuracy >= 1 %",
        options=options,
        settings=Settings(launches=1),
        time_limit_s=0.01,
    )
    again = validate("made/bundle")

    assert report.spec is not None
    assert report.spec.is_untrained
    assert [one.verdict for one in report.budgets] == [Verdict.INCONCLUSIVE]
    assert {one.quality.reason for one in (*report.accuracy, *again.accuracy)} == {
        "the weights are a random initialisation"
    }
    for name in ("bundle/README.md", "report.html"):
        assert SAID in (tmp_path / "made" / name).read_text()


def test_max_drop_of_an_untrained_network_is_refused(options: SourceOptions) -> None:
    with pytest.raises(UserError, match="random initialisation"):
        export("some_nets.small:make(3)", out="made", to="onnx-fp32", options=options, how=ExportOptions(max_drop=0.01))
