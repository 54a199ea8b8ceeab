"""Two trained-like networks whose files are damaged on purpose: a residual convolutional one, and an LSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """(N, 1, 8, 8) -> (N, 3): a stem, a residual block with a branch of its own, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.left = nn.Conv2d(8, 8, 3, padding=1)
        self.right = nn.Conv2d(8, 8, 3, padding=1)
        self.short = nn.Conv2d(8, 8, 1)
        self.last = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.relu(self.right(torch.relu(self.left(x))) + self.short(x))
        x = torch.max_pool2d(torch.relu(self.last(x)), 2)  # (N, 8, 4, 4)
        return self.head(x.flatten(1))


class Recurrent(nn.Module):
    """(N, T, 6) -> (N, 3), whatever T."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 12, batch_first=True)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        steps, _ = self.lstm(x)
        return self.head(steps[:, -1])


def residual() -> nn.Module:
    """Seeded; the statistics of its normalization are not those of a fresh layer."""
    torch.manual_seed(0)
    net = Residual()
    net.stem[1].running_mean.uniform_(-0.2, 0.2)
    net.stem[1].running_var.uniform_(0.5, 1.5)
    return net


def recurrent() -> nn.Module:
    torch.manual_seed(0)
    return Recurrent()


class Outlier(nn.Module):
    """(N, 1, 8, 8) -> (N, 3): one channel in the middle is 2000 times the others, which int8 then cannot tell apart."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.loud = nn.Conv2d(8, 8, 1)
        self.mix = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8 * 16, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.loud(torch.relu(self.first(x))))
        x = torch.max_pool2d(torch.relu(self.mix(x)), 2)  # (N, 8, 4, 4)
        return self.head(x.flatten(1))


def outlier() -> nn.Module:
    # The other networks are loaded without it.
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    net = Outlier()
    with torch.no_grad():
        net.loud.weight[0] *= 2000
        net.mix.weight[:, 0] /= 2000
        # Centred on real digits, so that it does not always say the same.
        images = torch.tensor(load_digits().images / 16, dtype=torch.float32)[:, None]
        net.head.bias -= net(images).mean(0)
    return net
