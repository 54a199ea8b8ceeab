"""Layers that several networks of the zoo share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(channels_in: int, channels: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, batch norm and SiLU; the stride alone changes the size."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.SiLU(),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels // 2, 1), conv(channels // 2, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Pyramid(nn.Module):
    """Features at strides 8, 16 and 32."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, width, 3, 2), conv(width, 2 * width, 3, 2), Residual(2 * width))
        self.p3 = nn.Sequential(conv(2 * width, 4 * width, 3, 2), Residual(4 * width))
        self.p4 = nn.Sequential(conv(4 * width, 4 * width, 3, 2), Residual(4 * width))
        self.p5 = nn.Sequential(conv(4 * width, 4 * width, 3, 2), Residual(4 * width))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p3 = self.p3(self.stem(x))
        p4 = self.p4(p3)
        return p3, p4, self.p5(p4)


class Attention(nn.Module):
    """Self-attention over (N, T, F) with several heads; `bias` is added to the scores."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None, *, causal: bool = False) -> Tensor:
        n, t, f = x.shape
        q, k, v = self.qkv(x).reshape(n, t, 3, self.heads, f // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal)
        return self.out(mixed.transpose(1, 2).reshape(n, t, f))


class Block(nn.Module):
    """A transformer block that normalizes first."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, bias: Tensor | None = None, *, causal: bool = False) -> Tensor:
        x = x + self.attention(self.before(x), bias, causal=causal)
        return x + self.mlp(self.between(x))


def masked(mask: Tensor) -> Tensor:
    """What is added to scores of attention: 0 where the mask (N, T) is 1, a large negative number elsewhere."""
    return (1.0 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min


class TwoRates(nn.Module):
    """Two convolutions with batch norms, as U-Nets have at every level."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, 1, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)
