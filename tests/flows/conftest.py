"""Real samples and networks for the flows, shared by their tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.flows.nets.small_bundles import classifier, forecaster, loud, painter, translator  # noqa: F401 - fixtures

NETS = Path(__file__).parent / "nets" / "nets.py"


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    """The user's file, outside the repository."""
    folder = tmp_path / "mine"
    folder.mkdir()
    return Path(shutil.copy(NETS, folder / "nets.py"))


@pytest.fixture
def digit_samples(tmp_path: Path) -> Path:
    """240 real handwritten digits with labels 0 to 2, as a user would save them."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    few = labels < 3
    path = tmp_path / "digits.npz"
    np.savez(path, x=(images[few][:240] / 16).astype(np.float32).reshape(-1, 1, 8, 8), label=labels[few][:240])
    return path
