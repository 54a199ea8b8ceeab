"""The reference's own noise, measured by PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.torch.call import run_module
from edgekit.export.torch.noise import deviations, torch_runs

SPEC = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 64)),), sizes={"N": (1,)})
RNG = np.random.default_rng(0)


class Normalized(torch.nn.Module):
    """Divides by the spread over time: a constant signal has none but that of rounding."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 0.3 + 0.1
        return (y - y.mean(dim=1, keepdim=True)) / (y.std(dim=1, keepdim=True) + 1e-12)


class Single(torch.nn.Module):
    """Refuses every dtype but one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype != torch.float32:
            raise TypeError(x.dtype)
        return x * 3


def noise_of(module: torch.nn.Module, x: NDArray[np.float64], fixed: tuple[str, ...] = ()) -> Feed:
    feed: Feed = {"x": x.astype(np.float32)}
    runs = torch_runs(module.eval(), SPEC, fixed)
    (found,) = deviations(runs, SPEC, [(feed, run_module(module, SPEC, feed))], 60)
    return found


def test_a_varying_signal_has_little_noise_and_a_constant_one_as_much_as_signal() -> None:
    varying = noise_of(Normalized(), RNG.normal(size=(20, 64)))["output"]
    constant = noise_of(Normalized(), np.full((20, 64), 0.7))["output"]

    assert varying.shape == (20, 64)
    assert varying.max() < 1e-5
    assert constant.max() > 0.1


def test_a_module_of_one_dtype_is_measured_by_moved_inputs() -> None:
    x = RNG.normal(size=(3, 64))

    moved = noise_of(Single(), x)["output"]

    assert 0 < moved.max() < 1e-5
    assert noise_of(Single(), x, fixed=("x",)) == {}


@pytest.mark.parametrize(("limit_s", "rows"), [(60, 20), (0, 8)])
def test_when_time_is_over_the_first_rows_are_measured(limit_s: float, rows: int) -> None:
    feed: Feed = {"x": RNG.normal(size=(20, 64)).astype(np.float32)}
    answer = run_module(Normalized(), SPEC, feed)

    found = list(deviations(torch_runs(Normalized(), SPEC, ()), SPEC, [(feed, answer)] * 2, limit_s))

    assert len(found[0]["output"]) == rows
    assert len(found) == (2 if limit_s else 1)


def test_the_default_dtype_is_as_before() -> None:
    noise_of(Single(), RNG.normal(size=(2, 64)))

    assert torch.get_default_dtype() is torch.float32


class Masked(torch.nn.Module):
    """Attention with a mask that is float32 whatever the weights are, as modules make it by `.float()`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        heads = x.reshape(-1, 1, 16, 4)
        mask = torch.zeros(1, 1, 1, 16, dtype=torch.float32)
        mask[..., 9:] = torch.finfo(torch.float32).min
        return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)


def test_a_float32_mask_is_no_noise_of_attention() -> None:
    assert noise_of(Masked(), RNG.normal(size=(20, 64)))["output"].max() < 1e-5
