"""A streaming net with a rate and a state: values by name, inputs of every dtype and rank, states fed back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.flows import onnx_files

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.flows.opening.artifacts import feed_at, opened
from edgekit.flows.opening.states import states_of
from edgekit.flows.opening.values import parse_values
from edgekit.flows.run import run

RATE = 16000
INTEGERS = [f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)]
KINDS = [*INTEGERS, "FLOAT", "FLOAT16", "DOUBLE", "BOOL", "STRING"]


def detector(path: Path, batch: int | str = 1, names: tuple[str, str] = ("state", "stateN")) -> Path:
    """As a detector of speech is exported: input (N, 512), state (2, N, 4), sr () -> score (N, 1), stateN (2, N, 4)."""
    before, after = names
    half, rate = (
        numpy_helper.from_array(np.array(value, np.float32), name) for value, name in ((0.5, "h"), (RATE, "r"))
    )
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["level"], keepdims=1),
        helper.make_node("Mul", [before, "h"], ["left"]),
        helper.make_node("Add", ["left", "level"], [after]),
        helper.make_node("Cast", ["sr"], ["hertz"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["hertz", "r"], ["share"]),
        helper.make_node("Mul", ["level", "share"], ["part"]),
        helper.make_node("ReduceMean", [after], ["mean"], keepdims=0),
        helper.make_node("Add", ["part", "mean"], ["score"]),
    ]
    inputs = [
        onnx_files.tensor("input", [batch, 512]),
        onnx_files.tensor(before, [2, batch, 4]),
        helper.make_tensor_value_info("sr", TensorProto.INT64, []),
    ]
    outputs = [onnx_files.tensor("score", [1, 1]), onnx_files.tensor(after, [2, batch, 4])]
    onnx.save(onnx_files.model(nodes, inputs, outputs, [half, rate]), str(path))
    return path


def sounds(folder: Path, count: int = 3) -> tuple[list[Path], list[float]]:
    """Parts of a stream in files without a state, and the mean of each."""
    levels = [float(place + 1) for place in range(count)]
    for place, level in enumerate(levels):
        np.savez(folder / f"{place}.npz", input=np.full((1, 512), level, np.float32))
    return [folder / f"{place}.npz" for place in range(count)], levels


def scores(found: Any) -> list[float]:
    return [float(np.ravel(one.outputs["score"])[0]) for one in found.answers]


@pytest.mark.parametrize("batch", [1, "N"])
def test_the_state_continues_from_part_to_part(batch: int | str, tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx", batch)
    files, levels = sounds(tmp_path)

    found = run(net, input=[*files, "sr=16000"])

    state, expected = 0.0, []
    for level in levels:
        state = state / 2 + level
        expected.append(level + state)
    assert scores(found) == pytest.approx(expected)
    assert [one.input for one in found.answers] == [str(file) for file in files]


def test_a_state_in_the_file_is_the_one_that_counts(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx")
    own = {"input": np.ones((1, 512), np.float32), "state": np.full((2, 1, 4), 8, np.float32), "sr": np.int64(RATE)}
    np.savez(tmp_path / "own.npz", **own)  # type: ignore[arg-type]  # arrays by name

    assert scores(run(net, input=[tmp_path / "own.npz"] * 2)) == [6.0, 6.0]


def test_pairs_with_other_names_are_given(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx", names=("a", "b"))
    files, _ = sounds(tmp_path, 2)

    with pytest.raises(UserError, match="does not contain an array 'a'"):
        run(net, input=[*files, "sr=16000"])
    assert scores(run(net, input=[*files, "sr=16000"], state=["b=a"])) == [2.0, 4.5]
    with pytest.raises(UserError, match="'c'"):
        run(net, input=[*files, "sr=16000"], state=["c=a"])


def test_a_value_is_in_the_measured_feed_and_a_stream_is_at_its_start(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx")

    with opened(net, inputs=["sr=16000"]) as found:
        feed = feed_at(found.spec, found.samples, 3)
    report = edgekit.profile(net, input=["sr=16000"], launches=1, time_limit_s=0.001)

    assert (str(feed["sr"].dtype), feed["sr"].tolist()) == ("int64", RATE)
    assert not feed["state"].any()
    assert feed["input"].any()
    assert report.latency


def test_values_alone_are_an_input(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx")

    assert scores(run(net, input=["sr=16000", "input=2"])) == [4.0]
    assert scores(run(net, input=["random:0", "sr=8000", "input=2", "state=[4]"])) == [5.0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sr=loud", "expected a number"),
        ("sr=1.5", "does not contain"),
        ("rate=1", "'rate'"),
        ("input=[1,2]", "has shape"),
    ],
)
def test_what_an_input_does_not_take_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        edgekit.profile(detector(tmp_path / "net.onnx"), input=[text], launches=1, time_limit_s=0.001)


def test_values_of_every_kind_are_read() -> None:
    tensors = [TensorSpec("flag", "bool", ()), TensorSpec("half", "float16", (2,)), TensorSpec("word", "str", (1,))]
    spec = ModelSpec("net", "other", tuple(tensors))

    found = parse_values(["flag=true", "half=[1, 0.5]", "word=cat"], spec)

    assert {name: array.tolist() for name, array in found.items()} == {"flag": True, "half": [1.0, 0.5], "word": "cat"}
    assert [array.dtype.name for array in found.values()][:2] == ["bool", "float16"]


@pytest.mark.parametrize("shape", [[], [3], [1, 2, 3]])
@pytest.mark.parametrize("kind", KINDS)
def test_generated_inputs_have_every_dtype_and_rank(kind: str, shape: list[int], tmp_path: Path) -> None:
    of = getattr(TensorProto, kind)
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    borders = (onnx_files.tensor(name, [*shape], of) for name in ("x", "y"))
    onnx.save(onnx_files.model(nodes, [next(borders)], [next(borders)]), str(tmp_path / "net.onnx"))

    found = run(tmp_path / "net.onnx", input=["random:1"])

    assert np.shape(found.answers[0].outputs["y"]) == tuple(shape)


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("stateN", "state"),
        ("hn", "h"),
        ("hn", "h0"),
        ("h_out", "h_in"),
        ("out_cache", "in_cache"),
        ("present.0.key", "past.0.key"),
        ("present.0.key", "past_key_values.0.key"),
        ("new_state", "state"),
        ("state_next", "state"),
    ],
)
def test_states_are_recognized_by_name_dtype_and_shape(output: str, name: str) -> None:
    def spec(dtype: str = "float32", size: int = 4) -> ModelSpec:
        return ModelSpec(
            "net", "other", (TensorSpec(name, "float32", (1, 4)),), (TensorSpec(output, dtype, (1, size)),)
        )

    assert states_of(spec()) == {output: name}
    assert states_of(spec(size=5)) == states_of(spec(dtype="int8")) == {}
