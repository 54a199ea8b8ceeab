"""A tiny model and its data, so that a training takes a tenth of a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from edgekit.core.samples import Samples
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def build() -> nn.Module:
    return Tiny()


def _samples(count: int, seed: int) -> Samples:
    x = np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)
    return Samples({"x": x}, (x[:, 0] > 0).astype(np.int64))


def data(folder: Path | None) -> Dataset:
    return dataset(_samples(96, 0), _samples(64, 1), source="generated", validation=_samples(32, 2))


def make() -> ReferenceModel:
    return ReferenceModel(
        spec=ModelSpec(
            name="tiny",
            task="classification",
            inputs=(TensorSpec("x", "float32", ("N", 4)),),
            outputs=(TensorSpec("logits", "float32", ("N", 2)),),
            labels=("negative", "positive"),
            metric=Metric("accuracy", floor=0.9),
        ),
        build=build,
        location="conftest:build",
        data=data,
        options=TrainOptions(epochs=4, batch_size=16, learning_rate=0.02, threads=1),
    )


@pytest.fixture
def tiny() -> ReferenceModel:
    return make()
