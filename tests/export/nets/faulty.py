"""Factories that go wrong, one way each."""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn


class Branching(nn.Module):
    """Looks at its data to choose a path."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        if y.sum() > 0:
            return y
        return -y


class Narrow(nn.Module):
    """Expects 4 features."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Mixed(nn.Module):
    """(N, 4) -> (4,): the batch is gone."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(0)


class Text(nn.Module):
    """Returns no tensor."""

    def forward(self, x: Tensor) -> str:
        return "yes"


def raises() -> nn.Module:
    raise RuntimeError("the weights are elsewhere")


def leaves() -> nn.Module:
    sys.exit(7)


def no_module() -> int:
    return 3


def training() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.9)).train()
