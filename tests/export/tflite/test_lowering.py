"""Operators without a kernel in LiteRT become others that have one, and answer as PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekit.core.recipe import parse_recipes
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.tflite.exporter import TfliteExporter
from edgekit.export.tflite.quantizer import TfliteQuantizer
from edgekit.runtime.backends.litert import LiteRT

# The converter uses what torch and jax are about to remove.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

FIVE = np.random.default_rng(0).uniform(0.5, 1.5, (1, 3, 2, 4, 5)).astype(np.float32)


class Calls(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x**2,
        lambda x: x**0.7,
        lambda x: 2.0**x,
        lambda x: x ** x[..., :1],
        lambda x: x.repeat(1, 1, 2, 1, 1),
        lambda x: x.topk(2, 3)[0],
        lambda x: x.topk(2, largest=False)[1].float(),
        lambda x: x.sort(2, descending=True)[0],
        lambda x: x.argsort(-1).float(),
        lambda x: nn.functional.adaptive_max_pool2d(x[0], (2, 1)),
        lambda x: nn.functional.adaptive_max_pool2d(x[0], (2, 1), return_indices=True)[1].float(),
    ],
    ids=["square", "root", "exponent", "both", "repeat", "topk", "least", "sort", "argsort", "pool", "places"],
)
def test_an_operator_without_a_kernel_is_written_as_others(
    function: Callable[[Tensor], Tensor], tmp_path: Path
) -> None:
    module, path = Calls(function).eval(), tmp_path / "net.tflite"
    expected = module(torch.from_numpy(FIVE)).numpy()
    spec = ModelSpec(
        "net",
        "other",
        (TensorSpec("x", "float32", FIVE.shape),),
        (TensorSpec("y", "float32", expected.shape),),
    )

    TfliteExporter().export(module, spec, {"x": FIVE}, path)

    with LiteRT().open(path, {}) as session:
        assert np.allclose(session.run({"x": FIVE})["y"].astype(np.float32), expected, rtol=1e-6)


RESIZED = (
    {"mode": "nearest", "size": (3, 7)},
    {"mode": "nearest", "scale_factor": 0.5},
    {"mode": "nearest", "scale_factor": 2.0},
    {"mode": "bilinear", "scale_factor": 1.7},
    {"mode": "bilinear", "size": (3, 7)},
    {"mode": "bilinear", "antialias": True, "size": (3, 7)},
    {"mode": "bilinear", "antialias": True, "size": (3, 7), "align_corners": True},
    {"mode": "bicubic", "antialias": True, "size": (9, 2)},
    {"mode": "bicubic", "antialias": True, "scale_factor": 0.4},
)


def test_a_picture_is_resized_as_pytorch_does(tmp_path: Path) -> None:
    def resized(x: Tensor) -> Tensor:
        return torch.cat([nn.functional.interpolate(x, **options).flatten() for options in RESIZED])

    x, path = np.random.default_rng(0).normal(size=(1, 3, 6, 10)).astype(np.float32), tmp_path / "net.tflite"
    expected = resized(torch.from_numpy(x)).numpy()
    spec = ModelSpec(
        "net", "other", (TensorSpec("x", "float32", x.shape),), (TensorSpec("y", "float32", expected.shape),)
    )

    TfliteExporter().export(Calls(resized).eval(), spec, {"x": x}, path)

    with LiteRT().open(path, {}) as session:
        got = session.run({"x": x})["y"]
    assert np.allclose(got, expected, atol=1e-5), np.abs(got - expected).max()


class Queries(nn.Module):
    """Learned queries that look at an input: the left side of their product is constant."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.queries, self.stem = nn.Parameter(torch.randn(1, 16, 32)), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        return self.queries @ self.stem(x).transpose(1, 2)


def test_learned_queries_stay_float_in_dynamic_int8(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(1, 16, 32)).astype(np.float32)
    module = Queries().eval()
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", x.shape),), (TensorSpec("y", "float32", (1, 16, 16)),))
    TfliteExporter().export(module, spec, {"x": x}, tmp_path / "float.tflite")

    TfliteQuantizer().quantize(
        tmp_path / "float.tflite", spec, parse_recipes("tflite-int8-dynamic")[0], None, tmp_path / "net.tflite"
    )

    expected = module(torch.from_numpy(x)).detach().numpy()
    with LiteRT().open(tmp_path / "net.tflite", {}) as session:
        assert np.abs(session.run({"x": x})["y"] - expected).max() < 0.03 * np.ptp(expected)
