"""What ships: models of the same data share one file of samples, and every card's samples are there."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from edgekit.core.samples import Samples
from edgekit.train.release_weights import _written
from edgekit.train.weights import shipped_samples, shipped_weights


def samples(offset: float) -> Samples:
    return Samples({"x": np.arange(6, dtype=np.float32).reshape(3, 2) + np.float32(offset)})


def test_models_of_the_same_data_share_one_file(tmp_path: Path) -> None:
    names = [_written(samples(offset), model, tmp_path) for model, offset in (("b", 0.0), ("a", 0.0), ("c", 1.0))]

    assert names == ["b.samples.npz", "b.samples.npz", "c.samples.npz"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.samples.npz", "c.samples.npz"]


def test_shipping_again_keeps_the_models_own_file(tmp_path: Path) -> None:
    assert [_written(samples(0.0), "a", tmp_path) for _ in range(2)] == ["a.samples.npz"] * 2


@pytest.mark.parametrize(
    "name", ["digits", "mnist", "fashion", "kws-dscnn", "kws-crnn", "anomaly-ae", "xor", "dcgan", "detect-digits"]
)
def test_shipped_weights_come_with_samples(name: str) -> None:
    found = shipped_samples(name)

    assert shipped_weights(name) is not None
    assert found is not None
    assert 4 <= len(found) <= 64


def test_everything_that_ships_is_below_ten_megabytes() -> None:
    folder = Path(str(files("edgekit.train") / "weights"))

    assert sum(path.stat().st_size for path in folder.iterdir()) < 10e6
