"""A budget on the metric of a task, or on accuracy in general, decides a build and a check of a user's own network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.processor import INT8

from edgekit.cli.main import run as edgekit_command

# Read by the workers alone: tests that start workers import no torch.
NETS = Path(__file__).parents[1] / "nets" / "labels.py"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4)).astype(np.float32)
MARKS = X + RNG.normal(size=X.shape) > 0


def built(folder: Path, *budgets: str) -> int:
    """The exit code of a build of a network with several labels for a sample."""
    np.savez(folder / "s.npz", x=X, label=MARKS)
    words = ["build", f"{NETS}:Several", "--samples", str(folder / "s.npz"), "--to", "onnx-fp32,onnx-int8"]
    words += [word for budget in budgets for word in ("--budget", budget)]
    return edgekit_command([*words, "--launches", "2", "--time-limit", "20ms", "--out", str(folder / "out"), "--quiet"])


@pytest.mark.slow
def test_a_build_and_a_check_judge_the_average_precision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert built(tmp_path, "macro_ap >= 0.6", "accuracy >= 60 %", "accuracy.drop <= 5 pt") == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    head = '[[check.models]]\npath = "out/bundle"\nartifact = ["onnx-int8"]\n'
    config = tmp_path / "edgekit.toml"
    config.write_text(f'[check]\nlaunches = 5\ntime_limit_s = 0.01\n{head}budgets = ["macro_ap >= 99 %"]\n')
    capsys.readouterr()

    code = edgekit_command(["check", "--config", str(config), "--json"])

    found = {(one["budget"], one["artifact"]): one for one in report["budgets"]}
    for name in ("onnx-fp32", INT8):
        quality = next(one for one in report["accuracy"] if one["artifact"] == name)
        assert quality["metric"] == "macro_ap"
        for text in ("macro_ap >= 0.6", "accuracy >= 60 %"):
            assert (found[text, name]["verdict"], found[text, name]["estimate"]) == ("pass", quality["quality"])
        drop = found["accuracy.drop <= 5 pt", name]
        assert (drop["verdict"], drop["estimate"]) == ("pass", quality["drop"])
    assert code == 1
    (failed,) = (one for one in json.loads(capsys.readouterr().out)["results"] if one["check"] == "macro_ap >= 99 %")
    assert failed["verdict"] == "fail"


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        ("map50 >= 0.5", "limits map50, but the metric of this model is macro_ap"),
        ("macro_ap <= 0.5", "'macro_ap' requires '>='"),
        ("macro_ap >= 90", "must be at most 1 (100 %)"),
        ("macro_ap.drop <= 1", "must be less than 1 (100 pt)"),
        ("macro_app >= 0.5", "Did you mean 'macro_ap'?"),
    ],
)
def test_a_budget_that_cannot_be_met_or_missed_is_refused(
    budget: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert built(tmp_path, budget) == 2

    assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
