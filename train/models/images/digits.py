"""digits: a small CNN for the 8x8 handwritten digits that come with scikit-learn."""

from __future__ import annotations

from torch import Generator, Tensor, nn

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.augment import affine
from edgekit.train.data.digits import LICENCE, digits
from edgekit.train.model import Batch, ReferenceModel
from edgekit.train.options import TrainOptions


class Digits(nn.Module):
    """Two convolutions, one pooling, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),  # (N, 16, 8, 8)
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),  # (N, 32, 8, 8)
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (N, 32, 4, 4)
        )
        self.head = nn.Sequential(
            nn.Flatten(),  # (N, 512)
            nn.Dropout(0.3),
            nn.Linear(512, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, 10) of images (N, 1, 8, 8) from 0 to 1."""
        return self.head(self.features(image))


def build() -> nn.Module:
    """The untrained network."""
    return Digits()


def augment(batch: Batch, generator: Generator) -> Batch:
    """Slightly rotated, scaled and shifted digits."""
    images = affine(batch.inputs["image"], generator, degrees=12, scale=0.1, shift=0.06)
    return batch._replace(inputs={"image": images})


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="digits",
        task="classification",
        summary="small CNN for 8x8 handwritten digits",
        inputs=(TensorSpec("image", "float32", ("N", 1, 8, 8), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", 10)),),
        sizes={"N": (1, 8)},
        labels=tuple("0123456789"),
        preprocessing=ImageInput(8, 8, channels=1, invert=True),
        metric=Metric("accuracy", floor=0.985),
        licence=LICENCE,
    ),
    build=build,
    location="edgekit.train.models.images.digits:build",
    data=digits,
    options=TrainOptions(epochs=60, batch_size=32, learning_rate=2e-3, weight_decay=1e-2, average=0.99, threads=1),
    augment=augment,
)
