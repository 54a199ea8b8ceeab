"""Generated data: the truth table of exclusive or, and a parabola."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.core.errors import EnvironmentFault
from edgekit.core.samples import Samples
from edgekit.train.data.dataset import Dataset, dataset

LICENCE = "generated"


def truth_table(data: Path | None = None) -> Dataset:
    """The four inputs of exclusive or (4, 2) and their labels; train and test are the same, as there are no others."""
    del data
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    table = Samples({"x": inputs}, np.array([0, 1, 1, 0], dtype=np.int64))
    return dataset(table, table, source="truth table of xor", licence=LICENCE, exhaustive=True)


def parabola(data: Path | None = None) -> Dataset:
    """1,024 points of y = x² for training and 512 for testing, x from -1 to 1; both outputs have the same target."""
    del data
    random = np.random.default_rng(0)
    return dataset(_points(random, 1024), _points(random, 512), source="y = x²", licence=LICENCE)


def untrained(data: Path | None = None) -> Dataset:
    """No data.

    Raises:
        EnvironmentFault: Always: the model is for latency tests and cannot be trained.
    """
    del data
    raise EnvironmentFault(
        "This model is for latency tests only: it is untrained, and its data (ImageNet) may not be redistributed.",
        hint="edgekit list models",
    )


def _points(random: np.random.Generator, count: int) -> Samples:
    x = random.uniform(-1, 1, (count, 1)).astype(np.float32)
    return Samples({"x": x}, None, {"curve": x**2, "line": x**2})
