"""A factory that draws its weights is recognized, whatever seeds it sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgekit.export.messages import ModuleRef
from edgekit.export.torch.module import load_module
from edgekit.export.workers.drawn_weights import DrawnWeights, drawn_weights

FACTORIES = """
import os
import torch
from torch import nn


def fresh():
    return nn.Linear(3, 2)


def unseeded():
    torch.manual_seed(int.from_bytes(os.urandom(4), "little"))
    return nn.Linear(3, 2)


def constant():
    return nn.BatchNorm1d(3)


def loaded():
    net = nn.Linear(3, 2)
    net.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    return net


def new_head():
    return nn.Sequential(loaded(), nn.Linear(2, 2))


def noisy():
    net = loaded()
    net.register_buffer("noise", torch.randn(3), persistent=False)
    return net
"""


@pytest.mark.parametrize(
    ("factory", "found"),
    [
        ("fresh", DrawnWeights(by_seed=True)),
        ("unseeded", DrawnWeights(by_seed=True, by_call=True)),
        ("constant", DrawnWeights()),
        ("loaded", DrawnWeights()),
        ("new_head", DrawnWeights(by_seed=True)),
        ("noisy", DrawnWeights()),
    ],
)
def test_weights_that_another_seed_changes_are_drawn(factory: str, found: DrawnWeights, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORIES)
    ref = ModuleRef(f"{tmp_path / 'net.py'}:{factory}")

    assert drawn_weights(load_module(ref), ref, 0) == found


def test_given_weights_are_not_drawn(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FACTORIES)
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "w.pt")
    ref = ModuleRef(f"{tmp_path / 'net.py'}:fresh", str(tmp_path / "w.pt"))

    assert drawn_weights(load_module(ref), ref, 0) == DrawnWeights()
