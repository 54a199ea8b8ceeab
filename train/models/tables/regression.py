"""regression: a line and a small perceptron, both fitted to y = x² by gradient descent with momentum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.core.reports.report import Estimate
from edgekit.core.samples import Samples
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.synthetic import LICENCE, parabola
from edgekit.train.evaluate import in_batches
from edgekit.train.metrics import regression
from edgekit.train.model import Answer, Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, score_of


class Regression(nn.Module):
    """Two networks side by side: a line, and a perceptron with a hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.curve = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 1))
        self.line = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both estimates (N, 1) of x², for x (N, 1) from -1 to 1."""
        return self.curve(x), self.line(x)


def build() -> nn.Module:
    """The untrained network."""
    return Regression()


def both(learner: Trainee, batch: Batch) -> Tensor:
    """The squared error of both outputs."""
    curve, line = learner.model(batch.inputs["x"])
    return F.mse_loss(curve, batch.targets["curve"]) + F.mse_loss(line, batch.targets["line"])


def least_squares() -> NDArray[np.float64]:
    """Slope and intercept of the best line through the training split, in closed form."""
    train = parabola().train
    x = train.inputs["x"][:, 0].astype(np.float64)
    matrix = np.stack([x, np.ones_like(x)], axis=1)
    found = np.linalg.lstsq(matrix, train.targets["line"][:, 0].astype(np.float64), rcond=None)[0]
    return np.asarray(found, dtype=np.float64)


def score(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """Errors of the curve, and how far slope and intercept of the line are from least squares."""
    del spec
    found = in_batches(answer, samples.inputs)
    details = regression(samples.targets["curve"].astype(np.float64), found["curve"].astype(np.float64))
    ends = answer({"x": np.array([[0.0], [1.0]], dtype=np.float32)})["line"][:, 0].astype(np.float64)
    off = np.abs(np.array([ends[1] - ends[0], ends[0]]) - least_squares()).max()
    details["line off least squares"] = Estimate(float(off), None, None, 1, "exact")
    return score_of("mse", details)


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="regression",
        task="regression",
        summary="a line and a small perceptron fitted to y = x²",
        inputs=(TensorSpec("x", "float32", ("N", 1), low=-1.0, high=1.0),),
        outputs=(TensorSpec("curve", "float32", ("N", 1)), TensorSpec("line", "float32", ("N", 1))),
        sizes={"N": (1, 8)},
        metric=Metric("mse", floor=1e-4),
        licence=LICENCE,
    ),
    build=build,
    location="edgekit.train.models.tables.regression:build",
    data=parabola,
    options=TrainOptions(
        epochs=20, passes=20, batch_size=64, optimizer="momentum", learning_rate=0.1, loss="mse", threads=1
    ),
    losses=(both,),
    score=score,
)
