"""Calls from a file to a prediction: where each part begins and ends, and what a launch returns of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from edgekit.core.errors import UserError
from edgekit.core.job import Job, WholeCalls
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime import preprocessing
from edgekit.runtime.backends.fake import FakeBackend, FakeSession
from edgekit.runtime.end_to_end import time_whole_calls
from edgekit.runtime.prediction import Prediction

SPEC = ModelSpec(
    "light",
    "classification",
    (TensorSpec("x", "float32", ("N", 1, 1, 4)),),
    (TensorSpec("y", "float32", ("N", 3)),),
    labels=("a", "b", "c"),
    preprocessing=ImageInput(1, 4, 1),
)


class Clock:
    """Nanoseconds that pass only where the work of a call is done."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    Image.fromarray(np.full((6, 8, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def job(given: Path) -> Job:
    whole = WholeCalls(str(given), SPEC, 7)
    return Job(artifact="a", sha256="", format="fake", feeds="feeds", end_to_end=whole, time_limit_s=1e-6)


@pytest.fixture
def slow(repository: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> FakeSession:
    """A session that returns scores, for which 5 µs pass."""

    def run(_: FakeSession, feed: Mapping[str, object]) -> Feed:
        clock.now += 5000
        return {"y": np.array([[0.1, 3.0, 0.2]], np.float32)}

    monkeypatch.setattr(FakeSession, "run", run)
    return FakeBackend().open(repository / "tests" / "runtime" / "data" / "linear.fake.json", {})


def test_each_part_takes_what_passes_in_it_and_the_first_calls_are_the_warmup(
    slow: FakeSession, clock: Clock, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, decoded = preprocessing.read_pixels, Prediction.read

    def slow_read(path: Path, how: ImageInput) -> NDArray[np.uint8]:
        clock.now += 3000
        return read(path, how)

    def slow_decode(self: Prediction) -> Prediction:
        clock.now += 2000
        return decoded(self)

    monkeypatch.setattr(preprocessing, "read_pixels", slow_read)
    monkeypatch.setattr(Prediction, "read", slow_decode)

    found = time_whole_calls(slow, job(photo), clock=clock)

    assert set(found.preprocess) == {3e-6}
    assert set(found.inference) == {5e-6}
    assert set(found.postprocess) == {2e-6}
    assert found.times("end_to_end") == pytest.approx([10e-6] * len(found.inference))
    # The warm-up ended when its time was used up, after one call; then came the seven that were asked for.
    assert (found.warmups, len(found.inference)) == (1, 8)


def test_a_prediction_is_read_whole() -> None:
    found = Prediction({"y": np.array([[0.1, 3.0, 0.2]], np.float32)}, SPEC).read()

    assert {"scores", "text", "curve", "objects", "points", "mask", "image"} <= set(vars(found))
    assert found.label == "b"


def test_an_input_that_does_not_fit_is_refused(slow: FakeSession, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"no image")

    with pytest.raises(UserError, match="as an image"):
        time_whole_calls(slow, job(tmp_path / "photo.png"))
