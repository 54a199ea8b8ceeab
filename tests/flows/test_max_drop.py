"""`--max-drop`: what int8 breaks stays float, as little as possible, and the bundle says which and why."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.core.bundle import Bundle
from edgekit.core.errors import UserError
from edgekit.core.verdict import Verdict
from edgekit.export.mixing.fewest import KeepCandidate, Kept, fewest
from edgekit.flows.export import export_order
from edgekit.flows.opening.source import ExportOptions, SourceOptions

NETS = Path(__file__).parent / "nets" / "planted.py"
# The random net decides by small margins, which the usual noise of int8 tips in one case of a hundred.
LIMIT = 0.03


def candidates(count: int) -> list[KeepCandidate]:
    return [KeepCandidate((str(place),), Kept(str(place), "Conv", "", 0.1)) for place in range(count)]


@pytest.mark.parametrize(
    "needed", [{"0"}, {"3"}, {"1", "4"}, {"0", "1", "2"}, {"9"}], ids=lambda one: " ".join(sorted(one))
)
def test_no_more_stays_float_than_is_needed(needed: set[str]) -> None:
    asked = []

    def measure(chosen: list[KeepCandidate]) -> float:
        asked.append(len(chosen))
        return 0.0 if needed <= {one.tensors[0] for one in chosen} else 0.1

    chosen = fewest(candidates(10), measure, LIMIT)  # type: ignore[arg-type]  # a list is a sequence

    assert chosen is not None
    kept = {one.tensors[0] for one in chosen}
    assert needed <= kept
    assert kept == needed or len(chosen) > 8
    assert len(asked) <= 16


def test_it_is_said_when_nothing_helps() -> None:
    assert fewest(candidates(5), lambda chosen: 0.1, LIMIT) is None


def labelled_by_the_net(folder: Path) -> Path:
    """Real digits, labelled with what the float network says, so that every flipped decision is int8's."""
    from sklearn.datasets import load_digits

    images = (load_digits().images / 16).astype(np.float32)[:, None]
    np.save(folder / "x.npy", images)
    script = (
        "import sys, numpy as np, torch; sys.path.insert(0, '.'); import planted; x = np.load('x.npy');"
        "label = planted.outlier().eval()(torch.from_numpy(x)).argmax(1).numpy(); np.savez('s.npz', x=x, label=label)"
    )
    # In a process of its own: tests that start workers import no torch.
    subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
    return folder / "s.npz"


@pytest.mark.slow
def test_int8_that_drops_too_much_keeps_operators_in_float_in_both_formats(tmp_path: Path) -> None:
    shutil.copy(NETS, tmp_path)
    options = SourceOptions(samples=labelled_by_the_net(tmp_path), calibration=128)
    source, out = f"{tmp_path}/planted.py:outlier", tmp_path / "bundle"

    before = edgekit.export_model(source, out=out, options=options)
    after = edgekit.export_model(source, out=out, options=options, how=ExportOptions(max_drop=LIMIT), force=True)

    drops = {row.artifact: row.drop.value for row in before.accuracy}
    assert min(drop for name, drop in drops.items() if "int8" in name and drop is not None) > LIMIT
    assert all(row.drop.value is not None and row.drop.value <= LIMIT for row in after.accuracy)
    # The operator that stays float32 is most of the work of this network: what is right is hardly int8, and says so.
    assert {check.kind for check in after.parity if check.verdict is Verdict.FAIL} == {"share"}
    with Bundle.open(out) as bundle:
        for artifact in bundle.artifacts:
            kept = artifact.record.get("float_tensors", [])
            assert bool(kept) is ("int8" in artifact.recipe)
            assert len(kept) <= 3
            assert all(one["drop_without"] > LIMIT for one in kept)


@pytest.mark.slow
def test_a_limit_that_nothing_reaches_leaves_the_bundle_and_fails(tmp_path: Path) -> None:
    shutil.copy(NETS, tmp_path)
    options = SourceOptions(samples=labelled_by_the_net(tmp_path), calibration=128)
    out = tmp_path / "bundle"

    # Better than its own labels by a point is more than any file can be.
    report = edgekit.export_model(
        f"{tmp_path}/planted.py:outlier", to="onnx-fp32,onnx-int8-static-u8s8", out=out, options=options,
        how=ExportOptions(max_drop=-0.01),
    )  # fmt: skip
    again = edgekit.validate(out)

    assert report.verdict is again.verdict is Verdict.FAIL
    assert report.exit_code == 1
    for one in (report, again):
        (check,) = [check for check in one.parity if check.kind == "drop"]
        assert (check.artifact, check.verdict, check.limit) == ("onnx-int8-static-u8s8", Verdict.FAIL, -0.01)
    assert any("drops more than -1 pt even with every operator" in text for text in report.warnings)
    with Bundle.open(out) as bundle:
        assert [one.recipe for one in bundle.artifacts] == ["onnx-fp32", "onnx-int8-static-u8s8"]


def test_it_needs_labels_and_the_float_artifact(nets: Path, digit_samples: Path, tmp_path: Path) -> None:
    how = ExportOptions(max_drop=LIMIT)
    unlabelled = SourceOptions(inputs=("x:float32[N,1,8,8]",))

    labelled = SourceOptions(samples=digit_samples)

    for to, options, missing in (("onnx-fp32", unlabelled, "labels"), ("onnx-int8", labelled, "onnx-fp32")):
        order = export_order(f"{nets}:small", out=tmp_path / "a", to=to, options=options, how=how)
        with pytest.raises(UserError, match=missing), order:
            pass
