"""The model of this example: a small convolution net for 8x8 images."""

import torch
from torch import nn


class Net(nn.Module):
    """(N, 1, 8, 8) -> (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(16, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits of images."""
        return self.head(self.body(image).mean((2, 3)))


def net() -> nn.Module:
    """The network with the same weights every time."""
    torch.manual_seed(0)
    return Net()
