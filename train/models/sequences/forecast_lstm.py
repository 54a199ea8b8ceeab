"""forecast-lstm: forecasts 24 hours of oil temperature from 96 hours of seven measurements."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgekit.core.samples import Samples
from edgekit.core.spec.input_kinds import SeriesInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import SeriesOutput
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.tables import ETT_COLUMNS, ETT_TERMS, HOURS_IN, HOURS_OUT, ett
from edgekit.train.evaluate import in_batches
from edgekit.train.metrics import bootstrap, regression
from edgekit.train.model import Answer, ReferenceModel
from edgekit.train.options import TrainOptions
from edgekit.train.score import Score, score_of

BLOCK = 7 * 24
AS_YESTERDAY = 1.5256  # MAE in degrees of repeating the last 24 hours, on the test split


class Forecast(nn.Module):
    """An LSTM that predicts how the next day differs from the one that just ended."""

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(ETT_COLUMNS)))
        self.register_buffer("scale", torch.ones(len(ETT_COLUMNS)))
        self.lstm = nn.LSTM(len(ETT_COLUMNS), hidden, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(hidden + HOURS_OUT, HOURS_OUT)

    def forward(self, history: Tensor) -> Tensor:
        """Degrees Celsius (N, 24) of the hours after `history` (N, 96, 7), which is in the units of the data set."""
        x = (history - self.mean) / self.scale
        level = x[:, -1:]  # (N, 1, 7); the network sees changes only, as seasons move the level
        states, _ = self.lstm(x - level)
        day = x[:, -HOURS_OUT:, -1] - level[:, :, -1]  # (N, 24)
        change = self.head(torch.cat([self.drop(states[:, -1]), day], 1))  # (N, 24)
        return (change + level[:, :, -1]) * self.scale[-1] + self.mean[-1]


def build() -> nn.Module:
    """The untrained network."""
    return Forecast()


def fit(module: nn.Module, train: Samples) -> None:
    """Mean and standard deviation of every column of the training split."""
    rows = train.inputs["history"][::HOURS_IN].reshape(-1, len(ETT_COLUMNS)).astype(np.float64)
    module.mean.copy_(torch.from_numpy(rows.mean(axis=0)))
    module.scale.copy_(torch.from_numpy(rows.std(axis=0)))


def score(answer: Answer, samples: Samples, spec: ModelSpec) -> Score:
    """MAE in degrees and how far it is below that of "as yesterday", with intervals by moving blocks of seven days."""
    del spec
    wanted = samples.targets["forecast"].astype(np.float64)
    found = in_batches(answer, samples.inputs)["forecast"].astype(np.float64)
    yesterday = samples.inputs["history"][:, -HOURS_OUT:, -1].astype(np.float64)
    error, naive = np.abs(found - wanted).mean(axis=1), np.abs(yesterday - wanted).mean(axis=1)
    details = regression(wanted, found, block=BLOCK)
    details["mae of yesterday"] = bootstrap(len(naive), lambda rows: float(naive[rows].mean()), block=BLOCK)
    details["gain over yesterday"] = bootstrap(
        len(naive), lambda rows: float(1 - error[rows].mean() / naive[rows].mean()), block=BLOCK
    )
    return score_of("mae", details)


MODEL = ReferenceModel(
    spec=ModelSpec(
        name="forecast-lstm",
        task="regression",
        summary="LSTM that forecasts 24 hours from the last 96",
        inputs=(TensorSpec("history", "float32", ("N", HOURS_IN, len(ETT_COLUMNS))),),
        outputs=(TensorSpec("forecast", "float32", ("N", HOURS_OUT)),),
        preprocessing=SeriesInput(ETT_COLUMNS, HOURS_IN),
        postprocessing=SeriesOutput("OT", 3600.0),
        metric=Metric("mae", floor=AS_YESTERDAY),
        licence="",
    ),
    build=build,
    location="edgekit.train.models.sequences.forecast_lstm:build",
    data=ett,
    dataset="ett",
    options=TrainOptions(
        epochs=15,
        batch_size=64,
        learning_rate=1e-3,
        weight_decay=0.05,
        loss="l1",
        average=0.99,
        clip=1.0,
        threads=1,
    ),
    fit=fit,
    score=score,
    terms=f"terms of ett: {ETT_TERMS}",
)
