"""cifar-resnet8: the ResNet-8 of MLPerf Tiny for 32x32 colour images."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.augment import flip, shift
from edgekit.train.data.cifar import LABELS, TERMS, cifar10
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions


class Block(nn.Module):
    """Two 3x3 convolutions with a shortcut, which is a 1x1 convolution where the shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(channels_in, channels, 1, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H / stride, W / stride) of x (N, channels_in, H, W)."""
        return self.relu(self.body(x) + self.shortcut(x))


class ResNet8(nn.Module):
    """A convolution, three residual blocks, the mean over all places, one dense layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 3, 32, 32)."""
        x = self.blocks(self.stem(image))  # (N, 64, 8, 8)
        return self.head(x.mean((2, 3)))


def build() -> nn.Module:
    """The untrained network."""
    return ResNet8()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Shifted by up to 4 pixels and mirrored, as in the ResNet paper."""
    images = flip(shift(batch.inputs["image"], generator, pixels=4), generator)
    return batch._replace(inputs={"image": images})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="cifar-resnet8",
        task="classification",
        summary="MLPerf Tiny's ResNet-8 for 32x32 colour images",
        inputs=(TensorSpec("image", "float32", ("N", 3, 32, 32), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", 10)),),
        sizes={"N": (1, 8)},
        labels=LABELS,
        preprocessing=ImageInput(32, 32, channels=3),
        metric=Metric("accuracy", floor=0.78),
    ),
    build=build,
    location="edgekit.train.models.images.cifar_resnet8:build",
    data=cifar10,
    dataset="cifar10",
    options=TrainOptions(
        epochs=40,
        batch_size=128,
        optimizer="momentum",
        learning_rate=0.2,
        weight_decay=5e-4,
        schedule="one-cycle",
        average=0.999,
        precision="bf16-mixed",
        channels_last=True,
        threads=1,
    ),
    augment=augment,
    terms=f"terms of cifar10: {TERMS}",
)
