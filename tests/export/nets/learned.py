"""A network that was trained as its int8 files compute: depthwise and pointwise layers, a shortcut, a ReLU6."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit import qat


class Mobile(nn.Module):
    """Convolution, depthwise and pointwise convolution beside a shortcut, pooling, one dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.depth = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8), nn.ReLU())
        self.point = nn.Sequential(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.pool, self.relu = nn.MaxPool2d(2), nn.ReLU()
        self.head = nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = self.pool(self.stem(image))
        x = self.relu(self.point(self.depth(x)) + x)
        return self.head(x.mean((2, 3)))


def prepared() -> nn.Module:
    """The network after some steps of training with the rounding of int8; each process that calls this gets the same.

    The order of sums, and with it the last bits, depends on the number of threads, so this takes one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _trained()
    finally:
        torch.set_num_threads(threads)


def _trained() -> nn.Module:
    torch.manual_seed(0)
    images = torch.rand(64, 1, 12, 12)
    plain = Mobile()
    plain(images)
    with torch.no_grad():
        plain.depth[0].weight[3] = 0
    network = qat.prepare(plain, images)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        (network(images) - images.mean((2, 3)) * torch.tensor([1.0, -1.0, 2.0, 0.5])).square().mean().backward()
        optimizer.step()
    return network


def net() -> nn.Module:
    """What is exported of it."""
    return qat.convert(prepared())
