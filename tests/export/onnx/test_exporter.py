"""The exporter keeps what a network says: its epsilons, and the names of its inputs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.exporter import OnnxExporter

from .graphs import answer

# PyTorch uses what it announces the end of, and says that two inputs share their batch.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

X = np.random.default_rng(0).normal(size=(3, 8)).astype("f4")


class Normalized(nn.Module):
    """Each row divided by its length, of which zero is one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / (x.norm(dim=1, keepdim=True) + 1e-12)


class Layers(nn.Module):
    """Operators that PyTorch calls as its inputs and outputs are called."""

    def __init__(self) -> None:
        super().__init__()
        self.f = nn.Linear(8, 8)

    def forward(self, linear: torch.Tensor, cat: torch.Tensor) -> dict[str, torch.Tensor]:
        hidden = self.f(torch.cat([linear, cat], 1)).relu()
        return {"relu": hidden, "mean": hidden.mean(1, keepdim=True), "again": hidden}


def exported(module: Any, feed: dict[str, np.ndarray], outputs: str, folder: Path, opset: int = 18) -> Any:
    """The model, with a free batch."""
    inputs = tuple(TensorSpec(name, "float32", ("N", array.shape[1])) for name, array in feed.items())
    given = tuple(TensorSpec.parse(text) for text in outputs.split())
    spec = ModelSpec("net", "other", inputs, given)
    made = OnnxExporter().export(module.eval(), spec, feed, folder / "net.onnx", opset=opset)
    assert made.options["exporter"] == "dynamo"
    return onnx.load(str(folder / "net.onnx"))


def test_a_small_epsilon_is_not_taken_for_zero(tmp_path: Path) -> None:
    made = exported(Normalized(), {"x": X}, "y:float32[N,8]", tmp_path)

    assert np.array_equal(answer(made, {"x": np.zeros((2, 8), "f4")}), np.zeros((2, 8)))


def test_a_network_is_written_in_an_older_opset(tmp_path: Path) -> None:
    made = exported(nn.LayerNorm(8), {"x": X}, "y:float32[N,8]", tmp_path, opset=15)

    assert [one.version for one in made.opset_import] == [15]
    assert made.ir_version == 8
    np.testing.assert_allclose(answer(made, {"x": X}).std(1), 1, atol=1e-3)


def test_inputs_and_outputs_may_be_called_like_operators(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Layers()
    feed = {"linear": X[:, :3], "cat": X[:, 3:]}
    outputs = "relu:float32[N,8] mean:float32[N,1] again:float32[N,8]"

    made = exported(module, feed, outputs, tmp_path)

    assert [value.name for value in made.graph.input] == ["linear", "cat"]
    assert [value.name for value in made.graph.output] == ["relu", "mean", "again"]
    expected = module(**{name: torch.from_numpy(array) for name, array in feed.items()})["relu"].detach().numpy()
    np.testing.assert_allclose(answer(made, feed), expected, atol=1e-6)


class TimeMajor(nn.Module):
    """(T, N, 8) -> (T, N, 10): a recurrent layer as PyTorch has it by default."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = getattr(nn, layer)(8, 5, bidirectional=True, num_layers=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layer(x)[0]
        return found


@pytest.mark.parametrize("layer", ["GRU", "LSTM"])
def test_a_time_major_layer_takes_any_length(layer: str, tmp_path: Path) -> None:
    axes = [TensorSpec(name, "float32", ("T", "N", size)) for name, size in (("x", 8), ("y", 10))]
    feed = {"x": np.random.default_rng(0).normal(size=(5, 2, 8)).astype("f4")}
    module = TimeMajor(layer).eval()

    OnnxExporter().export(module, ModelSpec("net", "other", (axes[0],), (axes[1],)), feed, tmp_path / "net.onnx")

    made = onnx.load(str(tmp_path / "net.onnx"))
    for x in (feed["x"], feed["x"][:3, :1]):
        expected = module(torch.from_numpy(x)).detach().numpy()
        assert np.allclose(answer(made, {"x": x}), expected, atol=1e-6)
