"""The tensors of a module travel to another build of it, whatever that draws."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edgekit.core.errors import ModelUnreadable
from edgekit.export.messages import ModuleRef
from edgekit.export.torch.module import load_module, state_digest
from edgekit.export.torch.state import differing, load_state, save_state, save_weights, tensors_of

UNSEEDED = ModuleRef(f"{Path(__file__).parents[1] / 'nets' / 'faulty.py'}:Unseeded")


def test_a_second_build_gets_the_tensors_of_the_first_and_says_which_differed(tmp_path: Path) -> None:
    first, second = load_module(UNSEEDED), load_module(UNSEEDED)
    save_state(first, tmp_path / "state.pt")

    assert load_state(second, tmp_path / "state.pt") == ("weight", "scale")
    assert differing(tensors_of(first), tensors_of(second)) == ()


def test_a_plain_attribute_travels_as_well(tmp_path: Path) -> None:
    first, second = nn.Identity(), nn.Identity()
    first.offset, second.offset = torch.ones(2), torch.zeros(2)
    save_state(first, tmp_path / "state.pt")

    load_state(second, tmp_path / "state.pt")

    assert torch.equal(second.offset, torch.ones(2))


def test_a_different_network_is_refused(tmp_path: Path) -> None:
    save_state(nn.Linear(2, 3), tmp_path / "state.pt")

    with pytest.raises(ModelUnreadable, match="a different network the second time: 'weight' has changed"):
        load_state(nn.Linear(2, 4), tmp_path / "state.pt")


def test_saved_weights_are_those_a_user_gives(tmp_path: Path) -> None:
    first = load_module(UNSEEDED)
    save_weights(first, tmp_path / "weights.safetensors")

    second = load_module(ModuleRef(UNSEEDED.location, str(tmp_path / "weights.safetensors")))

    assert state_digest(first) == state_digest(second)


def test_nan_is_the_same_as_nan() -> None:
    assert differing({"mask": torch.tensor([float("nan"), 1.0])}, {"mask": torch.tensor([float("nan"), 1.0])}) == ()
    assert differing({"mask": torch.tensor([1.0])}, {"mask": torch.tensor([float("nan")])}) == ("mask",)


def test_the_generators_of_numpy_and_python_have_a_seed_too() -> None:
    drawing = ModuleRef(f"{Path(__file__).parents[1] / 'nets' / 'faulty.py'}:seeded_outside")

    assert state_digest(load_module(drawing, seed=3)) == state_digest(load_module(drawing, seed=3))
