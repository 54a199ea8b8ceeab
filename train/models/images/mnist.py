"""mnist: Conv32-pool-Conv64-pool-Conv64-Dense64-10 for 28x28 handwritten digits."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.augment import affine
from edgekit.train.data.mnist import mnist
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions


class Mnist(nn.Module):
    """Three convolutions without padding, two poolings, two dense layers: 93,322 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 576)
            nn.Dropout(0.3),
            nn.Linear(576, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28) from 0 to 1."""
        x = self.pool(self.relu(self.conv1(image)))  # (N, 32, 13, 13)
        x = self.pool(self.relu(self.conv2(x)))  # (N, 64, 5, 5)
        x = self.relu(self.conv3(x))  # (N, 64, 3, 3)
        return self.head(x)


def build() -> nn.Module:
    """The untrained network."""
    return Mnist()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Slightly rotated, scaled and shifted digits."""
    images = affine(batch.inputs["image"], generator, degrees=8, scale=0.08, shift=0.05)
    return batch._replace(inputs={"image": images})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="mnist",
        task="classification",
        summary="three-layer CNN for 28x28 handwritten digits",
        inputs=(TensorSpec("image", "float32", ("N", 1, 28, 28), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", 10)),),
        sizes={"N": (1, 8)},
        labels=tuple("0123456789"),
        preprocessing=ImageInput(28, 28, channels=1, invert=True),
        metric=Metric("accuracy", floor=0.992),
        licence="CC BY-SA 3.0",
    ),
    build=build,
    location="edgekit.train.models.images.mnist:build",
    data=mnist,
    dataset="mnist",
    options=TrainOptions(epochs=12, batch_size=64, learning_rate=2e-3, weight_decay=1e-2, average=0.999),
    augment=augment,
)
