"""mobilenetv3-small: MobileNetV3-Small at 224x224 (Howard et al. 2019), untrained, for latency tests."""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.synthetic import untrained
from edgekit.train.model import ReferenceModel
from edgekit.train.models.images.mobilenetv2 import IMAGENET, TERMS
from edgekit.train.options import TrainOptions

# Kernel, width, channels, squeeze-and-excite, hard swish and stride of each row of the paper's table 2.
ROWS = (
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
)


def convolution(channels_in: int, channels: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution with `stride` and batch norm."""
    return [
        nn.Conv2d(channels_in, channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels, eps=1e-3),
    ]


class SqueezeExcite(nn.Module):
    """Squeeze and excitation: scales each channel by a function of the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # A quarter of the channels, rounded to a multiple of 8 that is not below 90 % of it, as the paper does.
        narrow = max(8, int(channels / 4 + 4) // 8 * 8)
        narrow += 8 * (narrow < 0.9 * channels / 4)
        self.body = nn.Sequential(nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1))
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C, H, W), scaled."""
        return x * self.gate(self.body(x.mean((2, 3), keepdim=True)))


class Bottleneck(nn.Module):
    """Expansion, depthwise convolution, scaling, projection; with a shortcut if the shapes are equal."""

    def __init__(self, channels_in: int, row: tuple[int, int, int, bool, bool, int]) -> None:
        super().__init__()
        size, width, channels, excites, swishes, stride = row
        active = nn.Hardswish if swishes else nn.ReLU
        layers = [] if width == channels_in else [*convolution(channels_in, width), active()]
        layers += [*convolution(width, width, size, stride, width), active()]
        layers += [SqueezeExcite(width)] if excites else []
        self.body = nn.Sequential(*layers, *convolution(width, channels))
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H / stride, W / stride)."""
        return x + self.body(x) if self.adds else self.body(x)


class MobileNetV3Small(nn.Module):
    """The eleven rows of bottlenecks between a first and a last convolution."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [*convolution(3, 16, 3, 2), nn.Hardswish()]  # (N, 16, 112, 112)
        channels = 16
        for row in ROWS:
            layers.append(Bottleneck(channels, row))
            channels = row[2]
        self.features = nn.Sequential(*layers, *convolution(channels, 576), nn.Hardswish())  # (N, 576, 7, 7)
        self.head = nn.Sequential(nn.Linear(576, 1024), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(1024, 1000))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 1000) of images (N, 3, 224, 224)."""
        return self.head(self.features(image).mean((2, 3)))


def build() -> nn.Module:
    """The untrained network."""
    return MobileNetV3Small()


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="mobilenetv3-small",
        task="classification",
        summary="MobileNetV3-Small, untrained, for latency tests",
        inputs=(TensorSpec("image", "float32", ("N", 3, 224, 224), low=-2.2, high=2.7),),
        outputs=(TensorSpec("logits", "float32", ("N", 1000)),),
        preprocessing=IMAGENET,
    ),
    build=build,
    location="edgekit.train.models.images.mobilenetv3:build",
    data=untrained,
    options=TrainOptions(epochs=1, batch_size=8),
    terms=TERMS,
)
