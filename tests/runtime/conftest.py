"""Tiny models that tests of the runtime open; data/make.py wrote them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.flows.nets.small_bundles import classifier, forecaster, loud, painter, translator  # noqa: F401 - fixtures

WEIGHTS = np.array([[1.0, -2.0, 0.5], [0.25, 0.0, -1.0]], dtype=np.float32)
OFFSET = np.array([0.5, -0.5], dtype=np.float32)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of the tiny models."""
    return Path(__file__).parent / "data"


@pytest.fixture
def rows() -> NDArray[np.float32]:
    """Twelve inputs of the linear model, (12, 3), all exact in float32."""
    return (np.arange(36).reshape(12, 3) / 4 - 4).astype(np.float32)


@pytest.fixture
def expected(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outputs for `rows`, (12, 2), exact as well."""
    return (rows @ WEIGHTS.T + OFFSET).astype(np.float32)
