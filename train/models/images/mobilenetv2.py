"""mobilenetv2: MobileNetV2 at 224x224 (Sandler et al. 2018), untrained, for latency tests."""

from __future__ import annotations

from torch import Tensor, nn

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.synthetic import untrained
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions

# Expansion, channels, repetitions and stride of each row of the paper's table 2.
ROWS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
TERMS = "untrained, for latency tests only; its data (ImageNet) may not be redistributed"
# Mean and standard deviation of ImageNet's channels, which networks for it expect.
IMAGENET = ImageInput(224, 224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def convolution(channels_in: int, channels: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution with `stride`, batch norm and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expansion by a 1x1 convolution, depthwise convolution, projection; with a shortcut if the shapes are equal."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        widened = [] if expansion == 1 else [convolution(channels_in, hidden)]
        narrowed = [nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.body = nn.Sequential(*widened, convolution(hidden, hidden, 3, stride, hidden), *narrowed)
        self.adds = stride == 1 and channels_in == channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H / stride, W / stride)."""
        return x + self.body(x) if self.adds else self.body(x)


class MobileNetV2(nn.Module):
    """The seven rows of inverted residuals between a first and a last convolution."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, 32, 3, 2)]  # (N, 32, 112, 112)
        channels_in = 32
        for expansion, channels, repetitions, stride in ROWS:
            for number in range(repetitions):
                layers.append(InvertedResidual(channels_in, channels, stride if number == 0 else 1, expansion))
                channels_in = channels
        self.features = nn.Sequential(*layers, convolution(channels_in, 1280))  # (N, 1280, 7, 7)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 1000) of images (N, 3, 224, 224)."""
        return self.head(self.features(image).mean((2, 3)))


def build() -> nn.Module:
    """The untrained network."""
    return MobileNetV2()


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="mobilenetv2",
        task="classification",
        summary="MobileNetV2, untrained, for latency tests",
        inputs=(TensorSpec("image", "float32", ("N", 3, 224, 224), low=-2.2, high=2.7),),
        outputs=(TensorSpec("logits", "float32", ("N", 1000)),),
        preprocessing=IMAGENET,
    ),
    build=build,
    location="edgekit.train.models.images.mobilenetv2:build",
    data=untrained,
    options=TrainOptions(epochs=1, batch_size=8),
    terms=TERMS,
)
