"""Factories that go wrong, one way each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """(N, 4) -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Branching(Linear):
    """Looks at its data to choose a path, which no exporter can follow."""

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x) if x.sum() > 0 else -self.linear(x)


def raises() -> nn.Module:
    raise RuntimeError("the weights are elsewhere")


def no_module() -> int:
    return 3


def branching() -> nn.Module:
    return Branching()


def linear() -> nn.Module:
    torch.manual_seed(0)
    return Linear()
