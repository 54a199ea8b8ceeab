"""A bare model file is opened like a bundle, and may be held against one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.core.bundle import SAMPLES, Bundle, Manifest, pack, write_manifest
from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.opening.artifacts import feed_at, open_session, opened
from edgekit.flows.validate import validate

DATA = Path(__file__).parents[2] / "runtime" / "data"
SPEC = ModelSpec(
    "linear", "regression", (TensorSpec("x", "float32", ("N", 3)),), (TensorSpec("y", "float32", ("N", 2)),)
)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    """A bundle of samples alone, with what the linear model of the runtime tests answers."""
    rows = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    with edgekit.load(DATA / "linear.onnx") as session:
        answers = session.run({"x": rows})
    folder = tmp_path / "reference"
    folder.mkdir()
    Samples({"x": rows}, expected=answers).save(folder / SAMPLES)
    write_manifest(folder, Manifest(SPEC, (), {}, "2026-01-01T00:00:00+00:00"))
    return folder


# bare.tflite takes two rows a call and no other number: the reference says that its first axis is the batch.
@pytest.mark.parametrize("name", ["linear.onnx", "linear.tflite", "bare.tflite"])
def test_a_bare_file_is_held_against_the_samples_of_a_bundle(name: str, reference: Path) -> None:
    report = validate(DATA / name, reference=reference)

    assert report.verdict is Verdict.PASS
    assert [check.samples for check in report.parity] == [12]


def test_a_packed_bundle_is_a_reference_too(reference: Path, tmp_path: Path) -> None:
    with Bundle.open(reference) as bundle:
        packed = pack(bundle, tmp_path / "reference.edgekit")

    assert validate(DATA / "linear.tflite", reference=packed).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["lookup.tflite", "lookup.onnx", "two.tflite"])
def test_a_bare_file_runs_on_inputs_of_a_size_it_takes(name: str) -> None:
    sizes = ["T=3"] if name == "lookup.onnx" else []

    with opened(DATA / name, sizes=sizes) as found, open_session(found, found.artifacts[0], Target("local")) as session:
        outputs = session.run(feed_at(found.spec, found.samples, 0))

    assert all(np.isfinite(array).all() for array in outputs.values())


def free_axis(path: Path) -> Path:
    """A model whose second axis, T, has no size of its own."""
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_a_bare_file_is_measured_at_the_sizes_that_are_asked_for(tmp_path: Path) -> None:
    model = free_axis(tmp_path / "sum.onnx")

    report = edgekit.profile(model, sizes=["T=64"], launches=1, time_limit_s=0.001)

    assert report.latency[0].sizes == {"N": 1, "T": 64}


@pytest.mark.parametrize(
    ("name", "sizes", "said"),
    [
        ("linear.onnx", ["U=3"], "dynamic axis 'U'"),
        ("linear.onnx", ["N=1,2"], "expected one size for 'N'"),
        ("linear.tflite", ["N=77"], "expected one size of"),
    ],
)
def test_sizes_that_a_file_does_not_have_are_refused(name: str, sizes: list[str], said: str) -> None:
    with opened(DATA / name) as found:
        axes = [axis for axis in found.spec.free_axes if axis in sizes[0]] or list(found.spec.free_axes)
    asked = [sizes[0].replace("N=", f"{axes[0]}=")]

    with pytest.raises(UserError, match=said.replace("'N'", f"'{axes[0]}'")), opened(DATA / name, sizes=asked):
        pass


def test_a_bundle_is_run_at_the_sizes_of_its_samples(reference: Path) -> None:
    with pytest.raises(UserError, match="a bundle runs on its own samples"), opened(reference, sizes=["N=2"]):
        pass
