"""xor: a 2-2-1 perceptron with sigmoids, trained by full-batch gradient descent on the truth table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekit.core.samples import Samples
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.synthetic import LICENCE, truth_table
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions


class Xor(nn.Module):
    """Nine weights. Some starts end in a local minimum, so the training is repeated up to ten times."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, 2) of pairs (N, 2) of zeros and ones; their softmax is the sigmoid of the one output."""
        z = self.out(torch.sigmoid(self.hidden(x)))  # (N, 1)
        return torch.cat([torch.zeros_like(z), z], 1)


def build() -> nn.Module:
    """The untrained network, with weights wide enough to leave the flat middle of the sigmoids."""
    network = Xor()
    for parameter in network.parameters():
        nn.init.uniform_(parameter, -2.0, 2.0)
    return network


def generate(count: int) -> Samples:
    """The truth table, repeated."""
    table = truth_table().train
    return table.take([row % 4 for row in range(count)])


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="xor",
        task="classification",
        summary="2-2-1 perceptron for exclusive or",
        inputs=(TensorSpec("x", "float32", ("N", 2), low=0.0, high=1.0),),
        outputs=(TensorSpec("logits", "float32", ("N", 2)),),
        sizes={"N": (1, 4)},
        labels=("0", "1"),
        metric=Metric("accuracy", floor=1.0),
        licence=LICENCE,
    ),
    build=build,
    location="edgekit.train.models.tables.xor:build",
    data=truth_table,
    options=TrainOptions(
        epochs=5,
        passes=200,
        batch_size=4,
        optimizer="sgd",
        learning_rate=2.0,
        schedule="constant",
        restarts=10,
        threads=1,
    ),
    generate=generate,
)
