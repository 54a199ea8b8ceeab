"""A streaming net with a rate and a state: values by name, inputs of every dtype and rank, states fed back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.flows import onnx_files
from tests.runtime.tflite_files import recurrent

import edgekit
from edgekit.cli.main import run as cli
from edgekit.core.errors import UserError
from edgekit.core.job import Job
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.system.settings import Settings
from edgekit.flows.export import export
from edgekit.flows.opening.artifacts import feed_at, opened
from edgekit.flows.opening.source import SourceOptions, open_source
from edgekit.flows.opening.states import with_states
from edgekit.flows.opening.values import parse_values
from edgekit.flows.run import run
from edgekit.runtime import launch
from edgekit.runtime.portable import PYTHON_RUNNER

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

    found = run(net, input=[*files, "sr=16000"], stream=True)

    state, expected = 0.0, []
    for level in levels:
        state = state / 2 + level
        expected.append(level + state)
    assert scores(found) == pytest.approx(expected)
    assert [one.input for one in found.answers] == [str(file) for file in files]


def test_inputs_are_independent_unless_they_are_one_stream(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx")
    files, levels = sounds(tmp_path)

    found = run(net, input=[*files, "sr=16000"])

    assert scores(found) == [2 * level for level in levels]
    assert found.notes == ("Each input began with state of zeros; --stream continues from the input before.",)


def test_a_stream_needs_a_state(tmp_path: Path) -> None:
    net = detector(tmp_path / "net.onnx", names=("a", "b"))

    with pytest.raises(UserError, match="no states"):
        run(net, input=["random:0", "random:1"], stream=True)
    with pytest.raises(UserError, match="only on this machine"):
        run(net, input=["random:0", "random:1"], stream=True, state=["b=a"], target="fake")


def test_a_stream_of_a_tflite_keeps_its_variables(tmp_path: Path) -> None:
    net = recurrent(tmp_path / "net.tflite")
    np.savez(tmp_path / "x.npz", x=np.ones((1, 1, 1), np.float32))

    apart, stream = (run(net, input=[tmp_path / "x.npz"] * 2, stream=stream) for stream in (False, True))

    assert apart.answers[0].outputs == apart.answers[1].outputs == stream.answers[0].outputs
    assert stream.answers[1].outputs != stream.answers[0].outputs


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
    assert scores(run(net, input=[*files, "sr=16000"], state=["b=a"], stream=True)) == [2.0, 4.5]
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


def counter(path: Path, *, last: int) -> Path:
    """x (1), count (1) -> y (1), countN (1) = count + 1; fails on a count above `last`."""
    one, table = (
        numpy_helper.from_array(np.array(value, np.int64), name)
        for value, name in (([1], "one"), (list(range(last + 1)), "table"))
    )
    nodes = [
        helper.make_node("Add", ["count", "one"], ["countN"]),
        helper.make_node("Gather", ["table", "count"], ["place"]),
        helper.make_node("Add", ["place", "x"], ["y"]),
    ]
    tensors = [onnx_files.tensor(name, [1], TensorProto.INT64) for name in ("x", "count", "y", "countN")]
    onnx.save(onnx_files.model(nodes, tensors[:2], tensors[2:], [one, table]), str(path))
    return path


def timed(net: Path, runner: str, **states: str) -> list[int]:
    """Ten timed runs and one for the outputs, from a count of 0: the count after the last one."""
    folder = net.parent
    write_arrays(folder / "f.npz", {"0:x": np.zeros(1, np.int64), "0:count": np.zeros(1, np.int64)})
    job = Job(
        artifact=str(net), sha256=sha256_file(net), format="onnx", feeds=str(folder / "f.npz"), states=states,
        outputs=str(folder / "o.npz"), time_limit_s=0.0, min_values=10, max_values=10,
    )  # fmt: skip
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    subprocess.run([sys.executable, runner, str(folder / "job.json")], capture_output=True, check=True)
    found: list[int] = read_arrays(folder / "o.npz", UserError)["0:countN"].tolist()
    return found


@pytest.mark.parametrize("runner", [launch.__file__, str(PYTHON_RUNNER)], ids=["here", "device"])
def test_timed_runs_continue_from_the_state_and_outputs_do_not(runner: str, tmp_path: Path) -> None:
    short, long = counter(tmp_path / "short.onnx", last=5), counter(tmp_path / "long.onnx", last=500)

    assert timed(short, runner) == timed(long, runner, countN="count") == [1]
    with pytest.raises(subprocess.CalledProcessError):
        timed(short, runner, countN="count")


def test_profile_feeds_states_back(tmp_path: Path) -> None:
    net = counter(tmp_path / "net.onnx", last=5)

    # Counts 0 to 6 are more than the table has.
    with pytest.raises(UserError, match="out of data bounds"):
        edgekit.profile(net, launches=1, time_limit_s=0.001)
    with pytest.raises(UserError, match="'missing'"):
        edgekit.profile(net, state=["missing=count"], launches=1, time_limit_s=0.001)


@pytest.mark.slow
def test_a_bundle_knows_its_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = detector(tmp_path / "net.onnx", names=("a", "b"))
    drawn = np.random.default_rng(0)
    parts, states = (drawn.normal(size=(20, *shape)).astype(np.float32) for shape in ((1, 512), (2, 1, 4)))
    np.savez(tmp_path / "s.npz", sr=np.full(20, RATE, np.int64), input=parts, a=states)
    options = SourceOptions(samples=tmp_path / "s.npz", states=("b=a",))

    export(str(net), to="onnx-fp32", out=tmp_path / "out", options=options)

    with opened(tmp_path / "out") as found:
        assert found.bundle is not None
        assert found.bundle.spec.states == found.spec.states == {"b": "a"}
    assert "| state | `b` continues as `a` |" in (tmp_path / "out" / "README.md").read_text()
    cli(["bundle", "inspect", str(tmp_path / "out")])
    assert "b continues as a" in capsys.readouterr().out
    files, _ = sounds(tmp_path, 2)
    assert scores(run(tmp_path / "out", input=[*files, "sr=16000"], stream=True)) == [2.0, 4.5]
    with pytest.raises(UserError, match="'c'"):
        export(str(net), to="onnx-fp32", out=tmp_path / "o", options=replace(options, states=("c=a",)))
    with pytest.raises(UserError, match="'c'"):
        open_source(str(net), replace(options, states=("b=c",)), Settings())


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
        inputs = TensorSpec("part", "float32", (1, 9)), TensorSpec(name, "float32", (1, 4))
        return ModelSpec("net", "other", inputs, (TensorSpec(output, dtype, (1, size)),))

    assert with_states(spec()).states == {output: name}
    assert with_states(spec(size=5)).states == with_states(spec(dtype="int8")).states == {}


def test_a_filter_of_one_input_has_no_state() -> None:
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", (4,)),), (TensorSpec("x_out", "float32", (4,)),))

    assert with_states(spec).states == {}
