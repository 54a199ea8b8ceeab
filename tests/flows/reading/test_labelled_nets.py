"""A user's network with one logit, and one with several labels for a sample: from one command to verdict and labels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import edgekit
from edgekit.cli.main import run as edgekit_command
from edgekit.core.bundle import Bundle
from edgekit.core.samples import Array
from edgekit.core.spec.output_kinds import BINARY, MULTI_LABEL, LabelsOutput
from edgekit.core.verdict import Verdict

# Read by the workers alone: tests that start workers import no torch.
NETS = Path(__file__).parents[1] / "nets" / "labels.py"
COUNT = 300
RNG = np.random.default_rng(0)
X = RNG.normal(size=(COUNT, 4)).astype(np.float32)
IS_POSITIVE = X.sum(axis=1) + RNG.normal(size=COUNT) > 0
MARKS = X + RNG.normal(size=X.shape) > 0


def exported(folder: Path, net: str, label: Array, *options: str) -> Path:
    np.savez(folder / "s.npz", x=X, label=label)
    words = ["export", f"{NETS}:{net}", "--samples", str(folder / "s.npz"), "--to", "onnx-fp32,onnx-int8"]
    assert edgekit_command([*words, "--max-drop", "1", "--out", str(folder / "bundle"), "--quiet", *options]) == 0
    # Without the file, the samples of the bundle are judged, which have reference outputs.
    (folder / "s.npz").unlink()
    return folder / "bundle"


@pytest.mark.parametrize("form", ["integers", "floats", "column"])
def test_one_logit_is_judged_by_its_side_of_zero(form: str, tmp_path: Path) -> None:
    labels = {
        "integers": IS_POSITIVE.astype(int),
        "floats": IS_POSITIVE.astype(float),
        "column": IS_POSITIVE.astype(np.float32)[:, None],
    }
    (tmp_path / "names.txt").write_text("quiet\nloud\n", encoding="utf-8")
    bundle = exported(tmp_path, "Single", labels[form], "--labels", str(tmp_path / "names.txt"))

    found = edgekit.validate(bundle)

    assert found.verdict is Verdict.PASS
    with Bundle.open(bundle) as opened:
        assert (opened.spec.task, opened.spec.postprocessing) == (BINARY, LabelsOutput("output"))
        kept = opened.samples()
    assert kept is not None
    assert kept.labels is not None
    hits = (kept.inputs["x"].sum(axis=1) > 0) == kept.labels
    first = found.accuracy[0]
    assert first.metric == "accuracy"
    assert first.reference.value == pytest.approx(hits.mean())
    assert all(row.drop.value is not None and abs(row.drop.value) <= 0.02 for row in found.accuracy)


def test_several_labels_are_judged_by_their_average_precision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = exported(tmp_path, "Several", MARKS.astype(np.float32))

    found = edgekit.validate(bundle)

    assert found.verdict is Verdict.PASS
    with Bundle.open(bundle) as opened:
        assert (opened.spec.task, opened.spec.postprocessing) == (MULTI_LABEL, LabelsOutput("output", logits=False))
        kept = opened.samples()
    assert kept is not None
    expected = average_precision_score(kept.targets[MULTI_LABEL], kept.expected["output"], average="macro")
    for row in found.accuracy:
        assert row.metric == "macro_ap"
        assert row.reference.value == pytest.approx(expected, abs=1e-6)
        assert row.quality.low is not None
        assert row.quality.high is not None
        assert row.quality.low < expected < row.quality.high
        assert row.drop.value == pytest.approx(0, abs=0.01)

    np.save(tmp_path / "one.npy", np.array([[0.0, 2.0, -2.0, 1.0]], np.float32))
    table = tmp_path / "found.csv"
    words = ["run", str(bundle), "--artifact", "onnx-fp32", "--input", str(tmp_path / "one.npy")]
    assert edgekit_command([*words, "--output", str(table)]) == 0
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["1", "3", "0", "2"]
    logits = np.array([6.0, 3.0, 0.0, -6.0])
    assert [float(row["probability"]) for row in rows] == pytest.approx((1 / (1 + np.exp(-logits))).tolist(), abs=1e-5)
    assert "99.75 %" in capsys.readouterr().out
