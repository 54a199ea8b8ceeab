"""`edgekit run --explain` finds the part of an input on which a planted network depends, in both formats."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
from onnx import helper
from PIL import Image
from tests.flows.nets.small_bundles import bundle

from edgekit.cli import main
from edgekit.core.errors import UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import BINARY, LabelsOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.flows.export import export
from edgekit.flows.opening.source import SourceOptions
from edgekit.flows.run import run
from edgekit.flows.saliency.maps import score_of

SIDE = 24
# The only rows and columns that the network sees.
SEEN = slice(16, 20), slice(4, 8)
NET = dedent("""
    import torch
    from torch import nn

    class Corner(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(16, 2)
            with torch.no_grad():
                self.head.weight.copy_(torch.stack([-torch.ones(16), torch.ones(16)]) / 4)
                self.head.bias.zero_()

        def forward(self, x):
            return self.head(x[:, :, 16:20, 4:8].flatten(1))

    def net():
        return Corner().eval()
""")


@pytest.fixture(scope="module")
def corner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose class is the sign of one patch, in both formats and in int8."""
    folder = tmp_path_factory.mktemp("corner")
    (folder / "mine.py").write_text(NET)
    images = np.random.default_rng(0).normal(size=(64, 1, SIDE, SIDE)).astype(np.float32)
    images[:, :, *SEEN] += np.where(np.arange(64) % 2, 2, -2)[:, None, None, None]
    np.savez(folder / "samples.npz", x=images, label=np.arange(64) % 2)
    export(
        f"{folder / 'mine.py'}:net",
        to=("onnx-fp32", "tflite-fp32", "onnx-int8-static", "tflite-int8-static"),
        options=SourceOptions(samples=folder / "samples.npz"),
        out=folder / "bundle",
    )
    return folder / "bundle"


@pytest.mark.parametrize("artifact", ["onnx-fp32", "tflite-fp32", "onnx-int8-static", "tflite-int8-static"])
def test_the_saliency_is_where_the_network_looks(artifact: str, corner: Path, tmp_path: Path) -> None:
    found = run(corner, input=["sample:0"], artifact=artifact, explain=tmp_path / "maps.npz")

    with np.load(tmp_path / "maps.npz") as maps:
        found_map = maps[f"0:{found.saliency[0].artifacts[0]}"]
    row, column = found.saliency[0].peak
    assert found_map.shape == (SIDE, SIDE)
    assert SEEN[0].start <= row < SEEN[0].stop
    assert SEEN[1].start <= column < SEEN[1].stop
    # A patch that hides nothing of what is seen changes nothing; patches are 4 places wide.
    outside = np.ones((SIDE, SIDE), bool)
    outside[12:24, 0:12] = False
    assert np.abs(found_map[outside]).max() < 0.02 * found_map.max()


def test_two_artifacts_are_compared_in_one_picture(corner: Path, tmp_path: Path) -> None:
    one = run(corner, input=["sample:1"], artifact="onnx-fp32", explain=tmp_path / "one.png")
    two = run(
        corner,
        input=["sample:1"],
        artifact="onnx-fp32",
        against="tflite-int8-static",
        explain=tmp_path / "two.png",
    )

    assert one.saliency[0].correlation is None
    assert two.saliency[0].artifacts == ("onnx-fp32", "tflite-int8-static")
    assert two.saliency[0].correlation is not None
    assert two.saliency[0].correlation > 0.99
    with Image.open(tmp_path / "one.png") as narrow, Image.open(tmp_path / "two.png") as wide:
        # The input and a map; with a second artifact another map, and the difference.
        assert wide.width > 1.8 * narrow.width


def test_a_batch_of_a_file_is_explained_sample_by_sample(classifier: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "batch.npy", np.random.default_rng(1).random((2, 1, 4, 4), np.float32))

    found = run(classifier, input=[tmp_path / "batch.npy"], explain=tmp_path / "batch.png")

    assert [one.input for one in found.saliency] == [f"{tmp_path / 'batch.npy'}:{row}" for row in range(2)]


def test_the_saliency_of_a_signal_is_along_its_time(tmp_path: Path) -> None:
    spec = ModelSpec(
        "late",
        "regression",
        (TensorSpec("signal", "float32", ("N", 96)),),
        (TensorSpec("level", "float32", ("N", 1)),),
    )
    weights = np.zeros((96, 1), np.float32)
    weights[72:76] = 1
    late = bundle(tmp_path / "late", spec, [helper.make_node("MatMul", ["signal", "w"], ["level"])], w=weights)
    np.save(tmp_path / "x.npy", np.sin(np.arange(96, dtype=np.float32))[None])

    found = run(late, input=[tmp_path / "x.npy"], explain=tmp_path / "late.png")

    assert found.saliency[0].label == ""
    assert 70 <= found.saliency[0].peak[0] < 78


def test_what_has_no_picture_is_refused(translator: Path, classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="generates text"):
        run(translator, input=["good film"], explain=tmp_path / "x.png")
    with pytest.raises(UserError, match=r"expected \.png, \.npz"):
        run(classifier, input=["random:0"], explain=tmp_path / "x.gif")
    with pytest.raises(UserError, match="second artifact"):
        run(classifier, input=["random:0"], against="onnx-fp32")


def test_the_command_names_the_place_and_the_file(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    code = main.run(["run", str(classifier), "--input", "random:0", "--explain", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert code == 0
    assert document["explained"] == "saliency.png"
    assert document["saliency"][0]["artifacts"] == ["onnx-fp32"]
    assert (tmp_path / "saliency.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("logits", "value", "label"), [(True, -0.2, "no"), (True, 0.2, "yes"), (False, 0.2, "no"), (False, 0.7, "yes")]
)
def test_one_score_is_explained_as_the_class_on_its_side(logits: bool, value: float, label: str) -> None:
    spec = ModelSpec("net", BINARY, (), labels=("no", "yes"), postprocessing=LabelsOutput("y", logits=logits))

    explained, score = score_of({"y": np.array([[value]])}, spec)

    assert explained == label
    assert score({"y": np.array([[0.9], [0.1]])}).tolist() == ([0.9, 0.1] if label == "yes" else [-0.9, -0.1])
