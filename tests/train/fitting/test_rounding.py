"""A reference model that trains on with the rounding of int8."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch
from torch import fx

from edgekit.core.errors import Interrupted, UserError
from edgekit.core.system.progress import Silent
from edgekit.train.fitting.checkpoint import BEST
from edgekit.train.fitting.loop import train
from edgekit.train.model import ReferenceModel
from edgekit.train.options import TrainOptions, with_overrides
from edgekit.train.qat.grid import Saturation
from edgekit.train.qat.learned_form import learned
from edgekit.train.weights import load_network


class StopAfterTwo(Silent):
    """Presses Ctrl-C when two epochs are done."""

    def step(self, done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt


@pytest.fixture
def start(tiny: ReferenceModel, tmp_path: Path) -> Path:
    """The weights of a training in float32."""
    train(tiny, tmp_path / "float", msgspec.structs.replace(tiny.options, epochs=20))
    return tmp_path / "float" / BEST


@pytest.fixture
def options(tiny: ReferenceModel) -> TrainOptions:
    return with_overrides(tiny.options, {"qat": "true"})


def test_the_kept_weights_are_those_of_int8_with_learned_ranges(
    tiny: ReferenceModel, options: TrainOptions, start: Path, tmp_path: Path
) -> None:
    run = train(tiny, tmp_path / "run", options, init_from=start)

    network = load_network(learned(tiny), tmp_path / "run" / BEST)
    ranges = [one.get_buffer("ends").tolist() for one in network.modules() if isinstance(one, Saturation)]
    assert run.quality.value is not None
    assert run.quality.value > 0.9
    assert isinstance(network, fx.GraphModule)
    assert ranges
    assert all(low <= 0 < high for low, high in ranges)
    for weight in (one for name, one in network.named_parameters() if name.endswith("weight")):
        steps = weight / (weight.abs().amax(1, keepdim=True) / 127)
        torch.testing.assert_close(steps, steps.round(), atol=1e-3, rtol=0)


def test_a_training_that_goes_on_ends_with_the_same_weights(
    tiny: ReferenceModel, options: TrainOptions, start: Path, tmp_path: Path
) -> None:
    whole = train(tiny, tmp_path / "whole", options, init_from=start)

    with pytest.raises(Interrupted):
        train(tiny, tmp_path / "parts", options, init_from=start, progress=StopAfterTwo())
    resumed = train(tiny, tmp_path / "parts", options, init_from=start, resume=True)

    assert resumed.weights_sha256 == whole.weights_sha256


def test_frozen_layers_keep_their_weights(
    tiny: ReferenceModel, options: TrainOptions, start: Path, tmp_path: Path
) -> None:
    short = msgspec.structs.replace(options, epochs=1)
    longer = msgspec.structs.replace(options, epochs=3)
    found = []
    for name, how in (("a", short), ("b", longer)):
        train(tiny, tmp_path / name, how, init_from=start, freeze=("head.weight",))
        found.append(load_network(learned(tiny), tmp_path / name / BEST))

    assert torch.equal(found[0].get_parameter("head.weight"), found[1].get_parameter("head.weight"))
    assert not torch.equal(found[0].get_parameter("head.bias"), found[1].get_parameter("head.bias"))


def test_it_begins_with_trained_weights(tiny: ReferenceModel, options: TrainOptions, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="continues from trained weights") as told:
        train(tiny, tmp_path / "run", options)

    assert told.value.hint == "--qat --init-from tiny"
    assert not (tmp_path / "run").exists()


def test_a_running_mean_of_weights_is_left_out_or_refused(tiny: ReferenceModel) -> None:
    averaged = msgspec.structs.replace(tiny.options, average=0.9)

    assert with_overrides(averaged, {"qat": "true"}).average == 0
    with pytest.raises(UserError, match="no running mean"):
        with_overrides(tiny.options, {"qat": "true", "average": "0.9"})
