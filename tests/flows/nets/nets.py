"""Networks of a user's own, in a file outside the package: a few hundred weights each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """(N, 1, 8, 8) -> (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Linear(8 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.max_pool2d(torch.relu(self.conv(x)), 2)  # (N, 8, 4, 4)
        return self.head(x.flatten(1))


class TwoByTwo(nn.Module):
    """(N, 4), (N, 6) -> sum (N, 5), scaled (N, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(4, 5)
        self.right = nn.Linear(6, 5)
        self.scale = nn.Linear(5, 1)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        joined = torch.tanh(self.left(a)) + self.right(b)
        return joined, self.scale(joined)


class Sequence(nn.Module):
    """(N, T, 4) -> (N, 3), whatever T."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x.transpose(1, 2)))  # (N, 8, T)
        return self.head(x.mean(dim=2))


class Tokens(nn.Module):
    """(N, 12) of 20 token ids -> (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.relu(self.embedding(tokens).sum(dim=1)))


def small() -> nn.Module:
    """Seeded, so that reference and artifact are of the same weights."""
    return _seeded(Small)


def two_by_two() -> nn.Module:
    return _seeded(TwoByTwo)


def sequence() -> nn.Module:
    return _seeded(Sequence)


def tokens() -> nn.Module:
    return _seeded(Tokens)


def _seeded(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind()
