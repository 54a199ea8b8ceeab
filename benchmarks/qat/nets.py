"""The networks of docs/qat.md, and how they are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from edgekit import qat
from edgekit.train.registry import MODELS
from edgekit.train.weights import load_network, require_weights

SHAPE: Final = (1, 28, 28)
# Every fourth channel between two convolutions is so many times larger than the others.
_OUTLIER: Final = 64.0


class Outliers(nn.Module):
    """A MobileNet-like network for 28x28 images whose activations have channels of very different size."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(_block(16, 32, 1), _block(32, 64, 2), _block(64, 64, 1))
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28)."""
        return self.head(self.blocks(self.stem(image)).mean((2, 3)))


def enlarge(network: nn.Module) -> None:
    """Scale channels between the two convolutions of every block; float32 computes the same as before."""
    with torch.no_grad():
        for block in network.get_submodule("blocks").children():
            norm, point = block.get_submodule("1"), block.get_submodule("3")
            norm.get_parameter("weight")[::4] *= _OUTLIER
            norm.get_parameter("bias")[::4] *= _OUTLIER
            point.get_parameter("weight")[:, ::4] /= _OUTLIER


def _block(given: int, made: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, given, 3, stride, 1, groups=given, bias=False),
        nn.BatchNorm2d(given),
        nn.ReLU(),
        nn.Conv2d(given, made, 1, bias=False),
        nn.BatchNorm2d(made),
        nn.ReLU(),
    )


def fashion() -> nn.Module:
    """The reference model, as it ships."""
    model = MODELS.get("fashion")
    return load_network(model, require_weights(model))


def outliers() -> nn.Module:
    """Untrained."""
    return Outliers()


def learned_fashion() -> nn.Module:
    """The form of a network that was trained with rounding; weights and ranges come from a file."""
    return _form(fashion)


def learned_outliers() -> nn.Module:
    """See `learned_fashion`."""
    return _form(outliers)


def _form(factory: Callable[[], nn.Module]) -> nn.Module:
    return qat.convert(qat.prepare(factory(), torch.rand(2, *SHAPE)))


@dataclass(frozen=True)
class Net:
    """A network, and its training with rounding: images, epochs and the learning rate.

    Attributes:
        plain: The factory of the network, and `learned` that of what the training with rounding makes of it.
        spoil: Makes the trained float32 network hard to quantize; None for one that ships trained.
    """

    plain: Callable[[], nn.Module]
    learned: Callable[[], nn.Module]
    images: int
    epochs: int
    rate: float
    spoil: Callable[[nn.Module], None] | None = None


NETS: Final = {
    "fashion": Net(fashion, learned_fashion, 12_000, 2, 1e-4),
    "outliers": Net(outliers, learned_outliers, 57_000, 4, 1e-3, enlarge),
}
