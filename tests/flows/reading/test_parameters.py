"""An array that is called like labels is an input where the module says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.system.settings import Settings
from edgekit.flows.opening.source import Source, SourceOptions, open_source

pytestmark = pytest.mark.slow  # the module is loaded

RNG = np.random.default_rng(0)
NETS = """
from torch import nn

class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)

    def forward(self, source, target):
        return self.embed(source).mean(1) + self.embed(target).mean(1)

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)

    def forward(self, source):
        return self.embed(source).mean(1)
"""


def opened(folder: Path, name: str, **arrays: np.ndarray) -> Source:
    (folder / "nets.py").write_text(NETS)
    np.savez(folder / "s.npz", **arrays)  # type: ignore[arg-type]  # arrays by name
    return open_source(f"{folder / 'nets.py'}:{name}", SourceOptions(samples=folder / "s.npz"), Settings())


def words(length: int) -> np.ndarray:
    return RNG.integers(0, 20, (9, length))


def test_a_target_that_the_module_takes_is_an_input(tmp_path: Path) -> None:
    found = opened(tmp_path, "Translator", source=words(6), target=words(4))

    assert [str(tensor) for tensor in found.spec.inputs] == ["source:int64[N,6]", "target:int64[N,4]"]
    assert found.spec.task == "other"


def test_labels_next_to_such_an_input_stay_labels(tmp_path: Path) -> None:
    found = opened(tmp_path, "Translator", source=words(6), target=words(4), label=np.arange(9) % 8)

    assert [tensor.name for tensor in found.spec.inputs] == ["source", "target"]
    assert found.spec.task == "classification"


def test_a_target_that_the_module_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'target' must contain one class index per sample"):
        opened(tmp_path, "Reader", source=words(6), target=words(4))
