"""Files of TensorFlow in LiteRT: free axes are resized, variables are reset, every signature runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.runtime.tflite_files import counting, recurrent, resizable, two_signatures

import edgekit
from edgekit.core.errors import UserError
from edgekit.core.job import Job
from edgekit.core.samples import read_arrays, write_arrays
from edgekit.core.system.files import sha256_file
from edgekit.flows.opening.artifacts import opened
from edgekit.runtime.portable import PYTHON_RUNNER

Make = Callable[[Path], Path]


def images(n: int, height: int, width: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(n).normal(size=(n, height, width, 2)).astype(np.float32)


def on_a_device(file: Path, feeds: list[dict[str, np.ndarray[Any, Any]]], **options: str) -> dict[str, Any]:
    """Outputs by `INDEX:NAME` of the runner that is copied to devices, which does not import edgekit."""
    folder = file.parent
    write_arrays(
        folder / "f.npz", {f"{i}:{name}": array for i, feed in enumerate(feeds) for name, array in feed.items()}
    )
    job = Job(
        artifact=str(file), sha256=sha256_file(file), format="tflite", feeds=str(folder / "f.npz"), options=options,
        outputs=str(folder / "o.npz"), time_limit_s=0.0, min_values=1, max_values=1,
    )  # fmt: skip
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    done = subprocess.run(
        [sys.executable, "-I", str(PYTHON_RUNNER), str(folder / "job.json")], capture_output=True, check=False
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return dict(read_arrays(folder / "o.npz", UserError)) if "values" in document else document


def test_free_axes_take_any_size(tmp_path: Path) -> None:
    with edgekit.load(resizable(tmp_path / "net.tflite")) as session:
        assert [str(one) for one in (*session.inputs, *session.outputs)] == [
            "x:float32[x.0,x.1,x.2,2]",
            "y:float32[x.0,2]",
        ]
        for shape in ((1, 1, 1), (1, 5, 3), (4, 2, 6), (1, 5, 3)):
            x = images(*shape)
            for _ in range(2):  # by the slow path, then by the fast one
                assert np.allclose(session.run({"x": x})["y"], x.mean((1, 2)), atol=1e-6)


def test_a_bound_call_of_a_resizable_file_survives_other_sizes(tmp_path: Path) -> None:
    x, other = images(2, 3, 4), images(1, 5, 5)
    with edgekit.load(resizable(tmp_path / "net.tflite")) as session:
        call = session.bind({"x": x})
        session.run({"x": other})

        assert np.allclose(call()["y"], x.mean((1, 2)), atol=1e-6)


def test_a_resizable_file_is_measured_at_sizes_that_are_named(tmp_path: Path) -> None:
    net = resizable(tmp_path / "net.tflite")

    with pytest.raises(UserError, match=r"the size of 'x\.1' and 'x\.2' is not known") as caught, opened(net):
        pass
    assert caught.value.hint == "--sizes x.1=224 --sizes x.2=224"

    found = edgekit.profile(net, sizes=["x.1=6", "x.2=5"], batch=(1, 3), launches=1, time_limit_s=0.001)

    assert [one.sizes for one in found.latency] == [{"x.0": n, "x.1": 6, "x.2": 5} for n in (1, 3)]


def test_a_device_resizes_free_axes_too(tmp_path: Path) -> None:
    feeds = [{"x": images(1, 4, 3)}, {"x": images(2, 1, 5)}, {"x": images(1, 1, 1)}]

    found = on_a_device(resizable(tmp_path / "net.tflite"), feeds)

    for row, feed in enumerate(feeds):
        assert np.allclose(found[f"{row}:y"], feed["x"].mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize("make", [recurrent, counting])
def test_variables_are_reset_before_each_run(make: Make, tmp_path: Path) -> None:
    net = make(tmp_path / "net.tflite")
    x = np.full([1, 1, 1] if make is recurrent else [1], 2.0, np.float32)

    with edgekit.load(net) as session, edgekit.load(net, state="keep") as stream:
        fresh = [float(session.run({"x": x})["y"].max()) for _ in range(3)]
        kept = [float(stream.run({"x": x})["y"].max()) for _ in range(3)]

    assert fresh == [2.0, 2.0, 2.0]
    assert kept == [2.0, 4.0, 6.0]


@pytest.mark.parametrize(("state", "expected"), [("reset", [2, 2, 2]), ("keep", [4, 6, 8])])
def test_variables_are_reset_on_a_device_too(state: str, expected: list[int], tmp_path: Path) -> None:
    x = np.full([1, 1, 1], 2.0, np.float32)

    found = on_a_device(recurrent(tmp_path / "net.tflite"), [{"x": x}] * 3, state=state)

    answers = np.array([found[f"{row}:y"].max() for row in range(3)])
    # What was run to take times comes first, where the state is kept.
    assert np.array_equal(answers - answers[0], np.array(expected) - expected[0])
    assert state == "keep" or answers[0] == 2


def test_every_signature_runs(tmp_path: Path) -> None:
    net = two_signatures(tmp_path / "net.tflite")
    x = np.array([[1.0, 2.0]], np.float32)
    scale = np.array([0.5], np.float32)

    with edgekit.load(net) as first, edgekit.load(f"{net}@signature=decode") as second:
        code = first.run({"x": x})["code"]
        assert np.array_equal(second.run({"code": code, "scale": scale})["x"], x)

    report = edgekit.profile(f"{net}@signature=decode", launches=1, time_limit_s=0.001)
    assert report.latency[0].artifact == "net@decode"
    assert [tensor.name for tensor in report.artifacts[0].inputs] == ["code", "scale"]


def test_every_signature_runs_on_a_device(tmp_path: Path) -> None:
    code, scale = np.array([[2.0, 4.0]], np.float32), np.array([0.5], np.float32)

    found = on_a_device(two_signatures(tmp_path / "net.tflite"), [{"code": code, "scale": scale}], signature="decode")

    assert found["0:x"].tolist() == [[1.0, 2.0]]


def test_a_signature_that_a_file_lacks_is_refused_with_those_it_has(tmp_path: Path) -> None:
    net = two_signatures(tmp_path / "net.tflite")

    with pytest.raises(UserError, match=r"'decod'.*'decode'"):
        edgekit.load(f"{net}@signature=decod")
    assert (
        on_a_device(net, [{"x": images(1, 1, 1)}], signature="decod")["message"] == "The file has no signature 'decod'."
    )
