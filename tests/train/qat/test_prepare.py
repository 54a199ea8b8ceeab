"""A network prepared for training with the rounding of int8, and the one that is exported of it."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from edgekit import qat
from edgekit.core.errors import UserError
from edgekit.train.qat.grid import LearnedRange, Saturation, coarse


def net(*, layers: int = 1) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU6(), nn.Flatten(), nn.Linear(216, 5)]
    return nn.Sequential(*parts)


@pytest.fixture
def trained() -> nn.Sequential:
    torch.manual_seed(0)
    module = net()
    module(torch.randn(32, 3, 8, 8))
    return module.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_a_prepared_network_is_near_the_original(trained: nn.Module, images: Tensor) -> None:
    prepared = qat.prepare(trained, images).eval()

    error = prepared(images) - trained(images)

    assert 0 < error.square().mean() < 1e-3 * trained(images).square().mean()


def test_norms_and_rectifiers_are_taken_in(trained: nn.Module, images: Tensor) -> None:
    kinds = [type(one) for one in qat.prepare(trained, images).modules()]

    assert not {nn.BatchNorm2d, nn.ReLU6} & set(kinds)
    assert kinds.count(LearnedRange) == 3


def test_scales_are_learned(trained: nn.Module, images: Tensor) -> None:
    prepared = qat.prepare(trained, images)

    prepared(images).square().mean().backward()

    scales = [one.log_scale for one in prepared.modules() if isinstance(one, LearnedRange)]
    assert all(one.grad is not None and one.grad != 0 for one in scales)


def test_a_converted_network_saturates_where_the_prepared_one_does(trained: nn.Module, images: Tensor) -> None:
    prepared = qat.prepare(trained, images).eval()
    before = copy.deepcopy(prepared.state_dict())

    converted = qat.convert(prepared)

    largest = (converted(10 * images) - prepared(10 * images)).abs().max()
    assert largest < 0.05 * prepared(10 * images).abs().max()
    assert all(torch.equal(before[name], one) for name, one in prepared.state_dict().items())


def test_a_converted_network_takes_the_state_of_another(trained: nn.Module, images: Tensor) -> None:
    given = qat.convert(qat.prepare(trained, images))
    other = qat.convert(qat.prepare(net(), 2 * images))

    other.load_state_dict(given.state_dict())

    assert torch.equal(other(images), given(images))


def test_a_range_of_a_relu6_ends_at_six(images: Tensor) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6())

    converted = qat.convert(qat.prepare(module, 1000 * images))

    ends = [one.get_buffer("ends").tolist() for one in converted.modules() if isinstance(one, Saturation)]
    assert ends[-1] == [0.0, pytest.approx(6, abs=1e-3)]
    assert ends[-1][1] <= 6


def test_a_scale_has_16_bits() -> None:
    scales = coarse(torch.rand(100))

    mantissas, _ = torch.frexp(scales)
    assert torch.equal(mantissas * 2**16, torch.round(mantissas * 2**16))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


def test_what_cannot_be_traced_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be traced"):
        qat.prepare(Branching(), torch.rand(4, 2))


def test_a_network_without_layers_is_refused() -> None:
    with pytest.raises(UserError, match="no layer that could be quantized"):
        qat.prepare(nn.ReLU(), torch.rand(4, 2))


def test_only_a_prepared_network_is_converted(trained: nn.Module) -> None:
    with pytest.raises(UserError, match=r"edgekit\.qat\.prepare"):
        qat.convert(trained)
