"""What PyTorch answers completes the spec: names, dtypes and axes of the outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from edgekit.core.errors import ModelUnreadable, UserError
from edgekit.core.samples import Feed, Samples, read_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export import messages
from edgekit.export.checking.cases import make_cases
from edgekit.export.messages import ModuleRef
from edgekit.export.workers.arrays import pack_feeds, save_arrays, unpack_feeds
from edgekit.export.workers.reference import OneSampleOnly, Reference, ask_reference
from edgekit.export.workers.worker import Worker

STEPS = TensorSpec("x", "float32", ("N", "T", 2))
X = np.random.default_rng(0).normal(size=(70, 8, 2)).astype(np.float32)


class NumpyWorker:
    """Answers a reference job with a numpy function in the place of a module."""

    toolchain = "onnx"

    def __init__(self, function: Callable[[Feed], Feed], measured: int | None = None) -> None:
        self.function = function
        self.measured = measured

    def ask(self, job: messages.RunModule, what: str) -> messages.Reply:
        answers: dict[int, Feed] = {}
        failures = {}
        for index, feed in unpack_feeds(read_arrays(Path(job.feeds), ModelUnreadable)).items():
            try:
                answers[index] = self.function(feed)
            except ValueError as err:
                failures[index] = f"The module fails: {err}."
        packed: Feed = {f"{i}:{name}": array for i, feed in answers.items() for name, array in feed.items()}
        save_arrays(Path(job.outputs), packed)
        noise = {
            index: {name: np.full_like(one, 1e-7) for name, one in answers.get(index, {}).items()}
            for index in job.noisy[: self.measured]
        }
        save_arrays(Path(job.noise), {f"{i}:{name}": one for i, feed in noise.items() for name, one in feed.items()})
        names = tuple(next(iter(answers.values())))
        return messages.Reply(traced=messages.Traced(names, (), "weights", "sources", failures))


def ask(function: Callable[[Feed], Feed], folder: Path, **changes: Any) -> Reference:
    spec = ModelSpec("net", "other", (STEPS,), **{"sizes": {"N": (1,), "T": (8,)}, **changes})
    samples = Samples({"x": X})
    worker = cast(Worker, NumpyWorker(function))
    return ask_reference(worker, ModuleRef("net.py:Net"), spec, samples, make_cases(samples, spec), folder, 0)


def test_outputs_are_described_from_what_they_do(tmp_path: Path) -> None:
    def answer(feed: Feed) -> Feed:
        x = feed["x"]
        half = x[:, ::2]
        return {"steps": x * 2, "half": half, "best": x.sum(axis=(1, 2)).argsort()}

    found = ask(answer, tmp_path)

    assert [str(tensor) for tensor in found.spec.outputs] == [
        "steps:float32[N,T,2]",
        "half:float32[N,half_1,2]",
        "best:int64[N]",
    ]


def test_the_samples_have_noise_where_there_is_no_time_for_the_cases(tmp_path: Path) -> None:
    spec = ModelSpec("net", "other", (STEPS,), sizes={"N": (1,), "T": (8, 16)})
    samples = Samples({"x": X})
    worker = cast(Worker, NumpyWorker(lambda feed: {"y": feed["x"] * 2}, measured=1))
    cases = make_cases(samples, spec)

    found = ask_reference(worker, ModuleRef("net.py:Net"), spec, samples, cases, tmp_path, 0)

    assert any(case.sizes["T"] == 16 for case in cases)
    assert list(found.samples.noise) == ["y"]


def test_every_sample_has_its_answer_in_order(tmp_path: Path) -> None:
    found = ask(lambda feed: {"y": feed["x"][:, 0]}, tmp_path)

    np.testing.assert_array_equal(found.samples.expected["y"], X[:, 0])
    assert found.warnings == ()


def test_a_module_that_fails_on_the_samples_is_a_user_error(tmp_path: Path) -> None:
    def picky(feed: Feed) -> Feed:
        if feed["x"].shape[0] > 5:
            raise ValueError("too many rows")
        return {"y": feed["x"]}

    with pytest.raises(UserError, match="too many rows"):
        ask(picky, tmp_path)


def test_an_axis_that_takes_one_size_only_is_warned_of(tmp_path: Path) -> None:
    def rigid(feed: Feed) -> Feed:
        if feed["x"].shape[1] != 8:
            raise ValueError("8 steps are expected")
        return {"y": feed["x"]}

    found = ask(rigid, tmp_path)

    assert found.warnings == ("axis 'T' was checked only at 8: The module fails: 8 steps are expected.",)


def test_a_size_that_was_asked_for_and_does_not_run_is_a_user_error(tmp_path: Path) -> None:
    def rigid(feed: Feed) -> Feed:
        if feed["x"].shape[1] == 4:
            raise ValueError("no 4 steps")
        return {"y": feed["x"]}

    with pytest.raises(UserError, match=r"does not accept N=1 T=4, one of the requested sizes.*no 4 steps"):
        ask(rigid, tmp_path, sizes={"N": (1,), "T": (4, 8)})


def test_an_output_without_the_batch_axis_is_that_of_each_sample_alone(tmp_path: Path) -> None:
    found = ask(lambda feed: {"y": feed["x"].mean(axis=0)}, tmp_path)

    assert [str(tensor) for tensor in found.spec.outputs] == ["y:float32[T,2]"]
    assert not found.spec.is_splittable
    np.testing.assert_array_equal(found.samples.expected["y"], X)


def test_an_output_whose_length_depends_on_values_is_padded_and_named(tmp_path: Path) -> None:
    def positive(feed: Feed) -> Feed:
        flat = np.asarray(feed["x"], np.float32).ravel()
        return {"y": flat[flat > 0], "places": np.flatnonzero(flat > 0)}

    found = ask(positive, tmp_path)

    counts = (X > 0).sum(axis=(1, 2))
    assert [str(tensor) for tensor in found.spec.outputs] == ["y:float32[y_0]", "places:int64[places_0]"]
    assert found.samples.expected["y"].shape == (70, counts.max())
    np.testing.assert_array_equal(np.isfinite(found.samples.expected["y"]).sum(axis=1), counts)
    # All zeros give none, all at the upper limit give every value.
    assert found.varying["y"] == "[0] to [16]"


def test_a_batch_axis_that_is_not_the_first_becomes_the_rows_of_the_samples(tmp_path: Path) -> None:
    found = ask(lambda feed: {"y": feed["x"].swapaxes(0, 1)}, tmp_path)

    assert [str(tensor) for tensor in found.spec.outputs] == ["y:float32[T,N,2]"]
    np.testing.assert_array_equal(found.samples.expected["y"], X)


@pytest.mark.parametrize("loses", ["fails", "squeezes"])
def test_a_module_that_takes_one_sample_at_a_time_is_recognized(loses: str, tmp_path: Path) -> None:
    def single(feed: Feed) -> Feed:
        if loses == "fails" and len(feed["x"]) > 1:
            raise ValueError("one row is expected")
        return {"y": feed["x"].mean(axis=(1, 2)).squeeze()}

    with pytest.raises(OneSampleOnly):
        ask(single, tmp_path)


def test_a_spec_that_says_otherwise_than_the_module_is_refused(tmp_path: Path) -> None:
    wrong = (TensorSpec("y", "float32", ("N", "T", 3)),)

    with pytest.raises(UserError, match="The spec has the output 'y:float32\\[N,T,3\\]'; the module returns"):
        ask(lambda feed: {"y": feed["x"]}, tmp_path, outputs=wrong)


def test_feeds_survive_the_exchange(tmp_path: Path) -> None:
    feeds: list[Feed] = [{"x": np.arange(3), "a:b": np.ones((2, 2), np.float16)}, {"x": np.zeros(0)}]

    save_arrays(tmp_path / "feeds.npz", pack_feeds(feeds))
    found = unpack_feeds(read_arrays(tmp_path / "feeds.npz", ModelUnreadable))

    assert sorted(found) == [0, 1]
    np.testing.assert_array_equal(found[0]["a:b"], feeds[0]["a:b"])
    assert found[1]["x"].shape == (0,)
