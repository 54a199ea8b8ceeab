"""A network that a .toy file can hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """(N, 4) -> (N, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"scores": torch.relu(self.head(x))}
