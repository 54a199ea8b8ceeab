"""What every reference model promises, whoever wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch

from edgekit.core.errors import EnvironmentFault, Interrupted
from edgekit.core.generated import generated
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.system.progress import Silent
from edgekit.train.data.dataset import Dataset, dataset
from edgekit.train.evaluate import answering
from edgekit.train.fitting.checkpoint import BEST, LAST
from edgekit.train.fitting.epochs import Rows
from edgekit.train.fitting.learner import Learner
from edgekit.train.fitting.loop import train
from edgekit.train.fitting.optimizers import optimizer_of
from edgekit.train.model import ReferenceModel
from edgekit.train.registry import MODELS
from edgekit.train.score import Score
from edgekit.train.weights import load_network, read_tensors, require_weights, shipped_weights

NAMES = tuple(MODELS.table)
COUNT = 64
# Latency fixtures of 224 x 224 take a second a batch; four samples show the same.
COUNTS = {"mobilenetv2": 4, "mobilenetv3-small": 4}


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest) -> ReferenceModel:
    found: ReferenceModel = MODELS.get(request.param)
    return found


def made_up(model: ReferenceModel) -> Samples:
    """Samples that fit the spec, with labels or targets that depend on the inputs."""
    count = COUNTS.get(model.spec.name, COUNT)
    if model.generate:
        return model.generate(count)
    samples = generated(model.spec, count=count, seed=0)
    if model.spec.task == "classification":
        classes = model.spec.outputs[0].shape[-1]
        assert isinstance(classes, int)
        return Samples(samples.inputs, np.arange(count, dtype=np.int64) % classes)
    outputs = answering(model, model.build())(samples.inputs)
    return Samples(samples.inputs, None, {name: np.zeros_like(array) for name, array in outputs.items()})


def small(model: ReferenceModel) -> ReferenceModel:
    """The model on made-up samples, chosen by nothing and scored by nothing: only the training counts."""
    samples = made_up(model)

    def data(folder: Path | None) -> Dataset:
        return dataset(samples, samples, source="made up", exhaustive=True)

    def score(answer: object, found: Samples, spec: ModelSpec) -> Score:
        from edgekit.core.reports.report import Estimate

        return Score("none", Estimate(0.0))

    options = msgspec.structs.replace(
        model.options, epochs=2, passes=1, batch_size=32, average=min(model.options.average, 0.9), threads=1, restarts=0
    )
    return replace(model, data=data, score=score, validate=None, specialize=None, options=options)


def test_it_builds_where_its_location_says(model: ReferenceModel) -> None:
    module, _, name = model.location.partition(":")

    built = getattr(__import__(module, fromlist=[name]), name)()

    assert model.build.__name__ == name
    assert isinstance(built, torch.nn.Module)


def test_its_name_and_summary_are_those_of_the_registry(model: ReferenceModel) -> None:
    plugin = MODELS.plugins[model.spec.name]

    assert MODELS.get(plugin.name) is model
    assert plugin.summary


def test_outputs_have_the_shape_and_type_of_the_spec(model: ReferenceModel) -> None:
    spec = model.spec
    sizes = {axis: 2 if axis == spec.batch_axis else spec.sizes_of(axis)[0] for axis in spec.free_axes}
    fixed = msgspec.structs.replace(spec, sizes={axis: (size,) for axis, size in sizes.items()})

    outputs = answering(model, model.build())(generated(fixed, count=2, seed=1).inputs)

    for tensor in spec.outputs:
        assert outputs[tensor.name].shape == tensor.concrete(sizes)
        assert str(outputs[tensor.name].dtype) == tensor.dtype


@pytest.mark.slow
def test_one_step_lowers_the_loss(model: ReferenceModel) -> None:
    torch.manual_seed(0)
    learner = Learner(model, msgspec.structs.replace(model.options, dropout=0.0, precision="32-true"))
    samples = made_up(model)
    if model.fit:
        model.fit(learner.model, samples)
    rows = Rows.of(samples)
    batch = rows.batch(torch.arange(rows.count))
    # A step of one thousandth: small enough for the gradient to tell the truth about every network.
    options = msgspec.structs.replace(model.options, optimizer="adam", learning_rate=1e-3, momentum=0.9)
    optimizer = optimizer_of(options, learner.parameters())

    for phase in range(len(learner.losses)):
        before = _loss(learner, batch, phase)
        optimizer.zero_grad()
        before.backward()
        optimizer.step()
        after = _loss(learner, batch, phase)

        assert after.item() < before.item()


def _loss(learner: Learner, batch: object, phase: int) -> torch.Tensor:
    torch.manual_seed(1)  # the same masks and the same noise before and after the step
    return learner(batch, phase)


@pytest.mark.slow
def test_it_trains_on_made_up_samples_and_resumes_to_the_same_weights(model: ReferenceModel, tmp_path: Path) -> None:
    little = small(model)

    whole = train(little, tmp_path / "whole", little.options)
    with pytest.raises(Interrupted):
        train(little, tmp_path / "parts", little.options, progress=_Stop())
    resumed = train(little, tmp_path / "parts", little.options, resume=True)

    assert resumed.weights_sha256 == whole.weights_sha256
    assert sha256_file(tmp_path / "parts" / BEST) == sha256_file(tmp_path / "whole" / BEST)
    assert (tmp_path / "whole" / LAST).is_file()


def test_weights_survive_being_written_and_read(model: ReferenceModel, tmp_path: Path) -> None:
    from edgekit.train.fitting.checkpoint import write_weights

    torch.manual_seed(3)
    module = model.build().eval()
    write_weights(tmp_path / "weights.safetensors", module)

    again = load_network(model, tmp_path / "weights.safetensors")

    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


@pytest.mark.parametrize("name", [name for name in NAMES if shipped_weights(name)])
def test_shipped_weights_fit_and_are_finite(name: str) -> None:
    weights = shipped_weights(name)
    assert weights is not None

    load_network(MODELS.get(name), weights)

    assert all(bool(torch.isfinite(tensor).all()) for tensor in read_tensors(weights).values())


@pytest.mark.parametrize("name", [name for name in NAMES if not shipped_weights(name)])
def test_a_model_without_shipped_weights_names_the_command_that_trains_it(name: str) -> None:
    with pytest.raises(EnvironmentFault) as problem:
        require_weights(MODELS.get(name))

    assert problem.value.exit_code == 3
    assert problem.value.hint.startswith(f"edgekit train {name}")


def test_restricted_data_never_comes_with_weights(model: ReferenceModel) -> None:
    if model.terms:
        assert shipped_weights(model.spec.name) is None


class _Stop(Silent):
    def step(self, done: int, total: int, note: str = "") -> None:
        raise KeyboardInterrupt
