"""Integers for a quantized input are its codes in every place, and what could mean something else is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.runtime.backends.test_litert_files import on_a_device

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.system.settings import Settings
from edgekit.flows.opening.source import SourceOptions, open_source
from edgekit.flows.run import run

DATA = Path(__file__).parents[1] / "runtime" / "data"
CODES = np.random.default_rng(0).integers(-60, 60, (8, 3)).astype(np.int8)
# As tests/runtime/data/make.py quantizes x of quantized.tflite.
REALS = (CODES.astype(np.float32) - 3) / 16


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return Path(shutil.copy(DATA / "quantized.tflite", tmp_path / "net.tflite"))


@pytest.fixture
def answers(net: Path) -> list[Any]:
    """The outputs for REALS, row by row."""
    with edgekit.load(net) as session:
        return [session.run({"x": row[None]})["y"].tolist() for row in REALS]


def saved(folder: Path, row: np.ndarray[Any, Any], name: str = "x.npz") -> Path:
    np.savez(folder / name, x=row)
    return folder / name


@pytest.mark.parametrize("dtype", [np.int8, np.int64])
def test_stored_codes_give_the_answers_of_the_reals(
    net: Path, answers: list[Any], dtype: type[np.integer[Any]]
) -> None:
    files = [saved(net.parent, row[None].astype(dtype), f"{place}.npz") for place, row in enumerate(CODES)]

    found = run(net, input=files)

    assert [one.outputs["y"] for one in found.answers] == answers


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_every_width_are_quantized(net: Path, answers: list[Any], dtype: type[np.floating[Any]]) -> None:
    with edgekit.load(net) as session:
        found = [session.run({"x": row[None].astype(dtype)})["y"].tolist() for row in REALS]

    assert found == answers


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([[1, 2, 3]], np.uint8), "uint8"),
        (np.array([[1, 2, 300]], np.int64), "from 1 to 300"),
    ],
)
def test_what_could_mean_something_else_is_refused(net: Path, array: np.ndarray[Any, Any], said: str) -> None:
    given = saved(net.parent, array)

    with pytest.raises(UserError, match=said) as of_run:
        run(net, input=[given])
    with pytest.raises(UserError, match=said), edgekit.load(net) as session:
        session.run({"x": array})
    assert "float32" in f"{of_run.value.message} {of_run.value.hint}"


def test_a_device_has_the_same_rule(net: Path, answers: list[Any]) -> None:
    found = on_a_device(net, [{"x": row[None]} for row in (*CODES, *CODES.astype(np.int64), *REALS)])
    refused = on_a_device(net, [{"x": CODES[:1].astype(np.uint8)}])

    assert [found[f"{place}:y"].tolist() for place in range(24)] == 3 * answers
    assert refused["message"] == "'x' is int8; the feed has other values (uint8)."


def test_samples_of_a_quantized_source_may_be_codes(net: Path) -> None:
    def opened(array: np.ndarray[Any, Any]) -> Samples:
        return open_source(str(net), SourceOptions(samples=saved(net.parent, array)), Settings()).split.evaluation

    assert opened(CODES).digest() == opened(REALS).digest()
    with pytest.raises(UserError, match="'x' is uint8, and the file stores int8"):
        opened(np.abs(CODES).astype(np.uint8))


def test_integers_for_a_float_input_are_reals(tmp_path: Path) -> None:
    given = saved(tmp_path, np.array([[1, 2, 3]], np.uint8))

    found = run(DATA / "linear.onnx", input=[given]).answers[0].outputs["y"]
    fake = run(DATA / "linear.fake.json", input=[given]).answers[0].outputs["y"]

    assert found == fake
