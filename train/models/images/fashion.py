"""fashion: the CNN of `mnist` with batch norm and dropout, for 28x28 images of clothing."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.augment import cutout, flip, shift
from edgekit.train.data.mnist import fashion
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions

LABELS = (
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


class Fashion(nn.Module):
    """Three padded convolutions with batch norm, two poolings, two dense layers; `conv1` to `conv3` as in `mnist`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32)
        self.conv2, self.norm2 = nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.conv3, self.norm3 = nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 3136)
            nn.Dropout(0.4),
            nn.Linear(64 * 7 * 7, 128),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(128, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 28, 28) from 0 to 1."""
        x = self.pool(self.relu(self.norm1(self.conv1(image))))  # (N, 32, 14, 14)
        x = self.pool(self.relu(self.norm2(self.conv2(x))))  # (N, 64, 7, 7)
        x = self.relu(self.norm3(self.conv3(x)))  # (N, 64, 7, 7)
        return self.head(x)


def build() -> nn.Module:
    """The untrained network."""
    return Fashion()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Mirrored, slightly shifted, and with a square cut out."""
    images = flip(shift(batch.inputs["image"], generator, pixels=2), generator)
    return batch._replace(inputs={"image": cutout(images, generator, size=8)})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="fashion",
        task="classification",
        summary="three-layer CNN for 28x28 images of clothing",
        inputs=(TensorSpec("image", "float32", ("N", 1, 28, 28), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", 10)),),
        sizes={"N": (1, 8)},
        labels=LABELS,
        preprocessing=ImageInput(28, 28, channels=1, invert=True),
        metric=Metric("accuracy", floor=0.90),
        licence="MIT",
    ),
    build=build,
    location="edgekit.train.models.images.fashion:build",
    data=fashion,
    dataset="fashion_mnist",
    options=TrainOptions(
        epochs=40,
        batch_size=128,
        learning_rate=4e-3,
        weight_decay=2e-2,
        schedule="one-cycle",
        average=0.999,
        precision="bf16-mixed",
        channels_last=True,
        threads=1,
    ),
    augment=augment,
)
