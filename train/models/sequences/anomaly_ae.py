"""anomaly-ae: an autoencoder that reconstructs normal days of a machine's temperature, but not anomalous ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import SeriesInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SeriesOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.tables import NAB_LICENCE, NAB_WINDOW, machine_temperature
from edgekit.train.evaluate import in_batches
from edgekit.train.metrics import auc, bootstrap
from edgekit.train.model import Answer, Batch, ReferenceModel, Trainee
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, score_of


class AutoEncoder(nn.Module):
    """288 values through one bounded value and back: it cannot reconstruct levels that it has never seen."""

    def __init__(self, hidden: int = 32, bottleneck: int = 1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))
        self.encoder = nn.Sequential(nn.Linear(NAB_WINDOW, hidden), nn.Tanh(), nn.Linear(hidden, bottleneck), nn.Tanh())
        self.decoder = nn.Sequential(nn.Linear(bottleneck, hidden), nn.Tanh(), nn.Linear(hidden, NAB_WINDOW))

    def forward(self, window: Tensor) -> tuple[Tensor, Tensor]:
        """The reconstructed window (N, 288) in its unit, and its anomaly score (N,) in squared standard deviations."""
        x = (window - self.mean) / self.scale
        rebuilt = self.decoder(self.encoder(x))
        return rebuilt * self.scale + self.mean, (x - rebuilt).square().mean(1)


def build() -> nn.Module:
    """The untrained network."""
    return AutoEncoder()


def fit(module: nn.Module, train: Samples) -> None:
    """Median and standard deviation of the training split."""
    values = train.inputs["window"].astype(np.float64)
    module.mean.fill_(float(np.median(values)))
    module.scale.fill_(float(values.std()))


def robust(learner: Trainee, batch: Batch) -> Tensor:
    """Absolute error in standard deviations: the training split is not labelled and may contain faults itself."""
    rebuilt, _ = learner.model(batch.inputs["window"])
    return F.l1_loss(rebuilt, batch.targets["rebuilt"]) / learner.model.scale


def score(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """AUC over windows, without point adjustment; the interval is by blocks of a day, as windows overlap."""
    del spec
    found = in_batches(answer, samples.inputs)["score"].astype(np.float64)
    assert samples.labels is not None
    positive = samples.labels == 1
    value = bootstrap(len(found), lambda rows: _auc(positive[rows], found[rows]), block=48)
    return score_of("auc", {"auc": value})


def _auc(positive: np.ndarray, found: np.ndarray) -> float:
    return auc(positive, found) if positive.any() and not positive.all() else 0.5


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="anomaly-ae",
        task="anomaly detection",
        summary="autoencoder for anomalies in sensor data",
        inputs=(TensorSpec("window", "float32", ("N", NAB_WINDOW)),),
        outputs=(TensorSpec("rebuilt", "float32", ("N", NAB_WINDOW)), TensorSpec("score", "float32", ("N",))),
        sizes={"N": (1, 8)},
        preprocessing=SeriesInput(("value",), NAB_WINDOW),
        postprocessing=SeriesOutput("value", 300.0),
        metric=Metric("auc", floor=0.80),
        licence=NAB_LICENCE,
    ),
    build=build,
    location="edgekit.train.models.sequences.anomaly_ae:build",
    data=machine_temperature,
    dataset="nab",
    options=TrainOptions(epochs=60, batch_size=64, learning_rate=1e-3, weight_decay=0.1, threads=1),
    losses=(robust,),
    fit=fit,
    score=score,
)
