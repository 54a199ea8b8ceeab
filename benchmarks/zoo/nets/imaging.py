"""Networks from pictures to pictures: segmenters, super-resolution, restoration, autoencoders, generators."""

from __future__ import annotations

from itertools import pairwise

import torch
from benchmarks.zoo.feeds import crops, grey, numbers, pictures
from benchmarks.zoo.net import Net
from benchmarks.zoo.nets.layers import Residual, TwoRates, conv
from torch import Tensor, nn
from torch.nn import functional


class UNet(nn.Module):
    """Transposed convolutions upwards, joined with what was seen downwards."""

    def __init__(self, width: int = 12, classes: int = 5) -> None:
        super().__init__()
        self.a, self.b, self.c = TwoRates(3, width), TwoRates(width, 2 * width), TwoRates(2 * width, 4 * width)
        self.up_b, self.up_a = (
            nn.ConvTranspose2d(4 * width, 2 * width, 2, 2),
            nn.ConvTranspose2d(2 * width, width, 2, 2),
        )
        self.join_b, self.join_a = TwoRates(4 * width, 2 * width), TwoRates(2 * width, width)
        self.pool, self.head = nn.MaxPool2d(2), nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.a(x)
        b = self.b(self.pool(a))
        up = self.join_b(torch.cat([self.up_b(self.c(self.pool(b))), b], 1))
        return self.head(self.join_a(torch.cat([self.up_a(up), a], 1)))


class DeepLab(nn.Module):
    """Dilated convolutions side by side, the mean of the picture, and bilinear enlargement."""

    def __init__(self, classes: int = 6) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), conv(32, 48, 3, 2))
        self.rates = nn.ModuleList(nn.Conv2d(48, 24, 3, padding=rate, dilation=rate) for rate in (1, 2, 4))
        self.whole = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(48, 24, 1), nn.ReLU())
        self.join, self.head = conv(96, 32, 1), nn.Conv2d(32, classes, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        features = self.body(x)
        size = features.shape[-2:]
        whole = functional.interpolate(self.whole(features), size=size, mode="bilinear", align_corners=False)
        joined = self.join(torch.cat([rate(features).relu() for rate in self.rates] + [whole], 1))
        return {"out": functional.interpolate(self.head(joined), size=x.shape[-2:], mode="bilinear")}


class Fcn(nn.Module):
    """Scores at two strides, added, and enlarged by transposed convolutions; returns class maps as well."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.body, self.deep = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2)), conv(32, 64, 3, 2)
        self.near, self.far = nn.Conv2d(32, classes, 1), nn.Conv2d(64, classes, 1)
        self.twice = nn.ConvTranspose2d(classes, classes, 4, 2, 1)
        self.four = nn.ConvTranspose2d(classes, classes, 8, 4, 2, groups=classes)

    def forward(self, x: Tensor) -> Tensor:
        near = self.body(x)
        return self.four(self.near(near) + self.twice(self.far(self.deep(near)))).softmax(1)


class BiSeNet(nn.Module):
    """A detailed and a coarse path, joined by channel attention; nearest enlargement and PReLU."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1), nn.PReLU(24), nn.Conv2d(24, 32, 3, 2, 1), nn.PReLU(32))
        self.coarse = nn.Sequential(conv(3, 16, 3, 4), conv(16, 32, 3, 4))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(64, 64, 1), nn.Hardsigmoid())
        self.head = nn.Conv2d(64, classes, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        coarse = functional.interpolate(self.coarse(x), scale_factor=4.0, mode="nearest")
        joined = torch.cat([self.fine(x), coarse], 1)
        return functional.interpolate(self.head(joined * self.gate(joined)), scale_factor=4, mode="nearest")


class SuperResolution(nn.Module):
    """Three times the size by a pixel shuffle, over a bicubic-like bilinear base."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 32, 5, padding=2), nn.PReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.PReLU()
        )
        self.up = nn.Sequential(nn.Conv2d(32, 27, 3, padding=1), nn.PixelShuffle(3))

    def forward(self, x: Tensor) -> Tensor:
        base = functional.interpolate(x, scale_factor=3, mode="bilinear", align_corners=False)
        return (base + 0.1 * self.up(self.body(x))).clamp(0, 1)


class Restoration(nn.Module):
    """The noise of a grey picture, taken away: dense connections with LeakyReLU and reflected borders."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(1 + 12 * place, 12, 3, padding=1, padding_mode="reflect") for place in range(4)
        )
        self.last = nn.Conv2d(49, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, functional.leaky_relu(layer(x), 0.2)], 1)
        return x[:, :1] - self.last(x)


class Autoencoder(nn.Module):
    """A variational autoencoder in use: the mean of the code and the picture it gives."""

    def __init__(self, code: int = 16) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()
        )
        self.mean, self.spread, self.back = nn.Linear(2048, code), nn.Linear(2048, code), nn.Linear(code, 2048)
        self.up = nn.Sequential(
            nn.Unflatten(1, (32, 8, 8)),
            nn.ConvTranspose2d(32, 16, 4, 2, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 1, 4, 2, 1),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = self.down(x)
        mean = self.mean(seen)
        return self.up(self.back(mean)).sigmoid(), mean, self.spread(seen)


class Generator(nn.Module):
    """Pictures from noise, as DCGAN makes them."""

    def __init__(self, noise: int = 32, width: int = 16) -> None:
        super().__init__()
        sizes = (noise, 8 * width, 4 * width, 2 * width)
        layers: list[nn.Module] = []
        for place, (before, after) in enumerate(pairwise(sizes)):
            stride, padding = (1, 0) if place == 0 else (2, 1)
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(sizes[-1], 3, 4, 2, 1), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.body(z[:, :, None, None])


class StyleGenerator(nn.Module):
    """A mapping network, modulated instance norms, and upsampling from a learned constant."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.mapping = nn.Sequential(nn.Linear(16, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2))
        self.start = nn.Parameter(torch.randn(1, width, 4, 4))
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(3))
        self.styles = nn.ModuleList(nn.Linear(32, 2 * width) for _ in range(3))
        self.norm, self.picture = nn.InstanceNorm2d(width), nn.Conv2d(width, 3, 1)

    def forward(self, z: Tensor) -> Tensor:
        code = self.mapping(z * torch.rsqrt(z.pow(2).mean(1, keepdim=True) + 1e-8))
        x = self.start.expand(z.shape[0], -1, -1, -1)
        for layer, style in zip(self.convs, self.styles, strict=True):
            x = functional.leaky_relu(layer(functional.interpolate(x, scale_factor=2)), 0.2)
            scale, shift = style(code)[:, :, None, None].chunk(2, 1)
            x = self.norm(x) * (1 + scale) + shift
        return self.picture(x).tanh()


class StyleTransfer(nn.Module):
    """Reflected borders, instance norms with weights, residual blocks."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()

        def layer(before: int, after: int, size: int, stride: int) -> list[nn.Module]:
            pad = nn.ReflectionPad2d(size // 2)
            return [pad, nn.Conv2d(before, after, size, stride), nn.InstanceNorm2d(after, affine=True), nn.ReLU()]

        self.down = nn.Sequential(*layer(3, width, 9, 1), *layer(width, 2 * width, 3, 2), *layer(2 * width, 32, 3, 2))
        self.middle = nn.Sequential(*layer(32, 32, 3, 1), *layer(32, 32, 3, 1))
        self.up = nn.Sequential(nn.Upsample(scale_factor=4), *layer(32, width, 3, 1), nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, x: Tensor) -> Tensor:
        features = self.down(x)
        return self.up(features + self.middle(features))


class Depth(nn.Module):
    """Depth of a scene from one picture, positive and of wide range."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2), Residual(32), conv(32, 64, 3, 2))
        self.up = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            conv(64, 24),
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
            nn.Conv2d(24, 1, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return 1 / (0.05 + self.up(self.body(x)).sigmoid().squeeze(1))


NETS = (
    Net("unet", "segmenter", UNet, lambda r: {"x": pictures(r, 64)}),
    Net("deeplab-like", "segmenter", DeepLab, lambda r: {"x": pictures(r, 64)}),
    Net("fcn-like", "segmenter", Fcn, lambda r: {"x": pictures(r, 64)}),
    Net("bisenet-like", "segmenter", BiSeNet, lambda r: {"x": pictures(r, 64)}),
    Net(
        "unet-any-size",
        "segmenter",
        UNet,
        lambda r: {"x": pictures(r, 64)},
        inputs=("x:float32[N,3,H,W]",),
        sizes=("H=64", "W=64"),
    ),
    Net("super-resolution", "super-resolution", SuperResolution, lambda r: {"x": crops(r, 32)}),
    Net("restoration", "super-resolution", Restoration, lambda r: {"x": grey(r, 48)}),
    Net("autoencoder", "autoencoder", Autoencoder, lambda r: {"x": grey(r, 32)}),
    Net("dcgan", "generator", Generator, lambda r: {"z": numbers(r, 32)}),
    Net("style-generator", "generator", StyleGenerator, lambda r: {"z": numbers(r, 16)}),
    Net("style-transfer", "generator", StyleTransfer, lambda r: {"x": crops(r, 64)}),
    Net("depth", "segmenter", Depth, lambda r: {"x": pictures(r, 64)}),
)
