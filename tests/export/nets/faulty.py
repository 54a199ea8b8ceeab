"""Factories that go wrong, one way each."""

from __future__ import annotations

import random
import sys

import numpy as np
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


class Noisy(nn.Module):
    """Draws noise, in eval mode as well."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class Remembering(nn.Module):
    """Keeps its last inputs in a buffer."""

    past: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(1, 12))

    def forward(self, x: Tensor) -> Tensor:
        self.past = torch.cat([self.past, x[:1]], dim=1)[:, -12:]
        return x + self.past.sum()


class Lazy(nn.Module):
    """Writes a buffer that only saves time: the outputs are always the same."""

    steps: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if len(self.steps) != x.shape[1]:
            self.steps = torch.arange(x.shape[1]).float()
        return x + self.steps


class Unseeded(nn.Module):
    """Has other weights, and another buffer that is not saved, each time it is made."""

    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng()
        self.weight = nn.Parameter(torch.from_numpy(rng.normal(size=(4, 2)).astype(np.float32)))
        self.register_buffer("scale", torch.from_numpy(rng.normal(size=2).astype(np.float32)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight * self.scale


def seeded_outside() -> nn.Module:
    """Draws from the generators of numpy and Python that everybody shares."""
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight.fill_(np.random.rand() + random.random())  # the one that factories use
    return linear
