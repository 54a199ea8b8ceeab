"""Augmentation in plain torch code: every function takes rows and a generator, and returns changed rows."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F


def shift(images: Tensor, generator: Generator, *, pixels: int) -> Tensor:
    """Each image (N, C, H, W) shifted by up to `pixels` in both directions and filled with 0."""
    n, _, height, width = images.shape
    padded = F.pad(images, [pixels] * 4)
    top, left = (torch.randint(0, 2 * pixels + 1, (n, 1, 1), generator=generator) for _ in range(2))
    rows = top + torch.arange(height)[None, :, None]  # (N, H, 1)
    columns = left + torch.arange(width)[None, None, :]  # (N, 1, W)
    picked = padded.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None], rows, columns]  # (N, H, W, C)
    return picked.permute(0, 3, 1, 2).contiguous()


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Half of the images (N, C, H, W) mirrored left to right."""
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def affine(images: Tensor, generator: Generator, *, degrees: float, scale: float = 0.0, shift: float = 0.0) -> Tensor:
    """Each image (N, C, H, W) randomly rotated, scaled and shifted around its centre, with bilinear sampling.

    Args:
        degrees: Largest angle.
        scale: Largest relative change of size, 0.1 for 10 %.
        shift: Largest shift as a share of the image's size.
    """
    n = len(images)
    angle, factor, x, y = ((2 * torch.rand(n, generator=generator) - 1) for _ in range(4))
    angle, factor = angle * math.radians(degrees), 1 + factor * scale
    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    # Half an image is 1 in the coordinates of grid_sample, hence twice the share.
    matrix = torch.stack([cos, -sin, 2 * shift * x, sin, cos, 2 * shift * y], dim=1).reshape(n, 2, 3)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def cutout(images: Tensor, generator: Generator, *, size: int) -> Tensor:
    """A square of `size` pixels in each image (N, C, H, W) set to 0 (DeVries and Taylor 2017)."""
    n, _, height, width = images.shape
    top = torch.randint(0, height, (n, 1, 1, 1), generator=generator) - size // 2
    left = torch.randint(0, width, (n, 1, 1, 1), generator=generator) - size // 2
    rows, columns = torch.arange(height)[None, None, :, None], torch.arange(width)[None, None, None, :]
    hole = (rows >= top) & (rows < top + size) & (columns >= left) & (columns < left + size)
    return images.masked_fill(hole, 0.0)


def recolored(images: Tensor, generator: Generator) -> Tensor:
    """Images (N, 3, H, W) from 0 to 1, colours exchanged and inverted, contrast and brightness changed, with noise."""
    n = len(images)
    order = torch.rand(n, 3, generator=generator).argsort(1)
    exchanged = images.gather(1, order[..., None, None].expand_as(images))
    inverted = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    toned = torch.where(inverted, 1 - exchanged, exchanged)
    contrast = 0.7 + 0.6 * torch.rand(n, 1, 1, 1, generator=generator)
    lit = (toned - 0.5) * contrast + 0.5 + 0.2 * (torch.rand(n, 1, 1, 1, generator=generator) - 0.5)
    return (lit + 0.02 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
