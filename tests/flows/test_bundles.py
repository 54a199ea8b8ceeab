"""A bare model file is opened like a bundle, and may be held against one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edgekit
from edgekit.core.bundle import SAMPLES, Bundle, Manifest, pack, write_manifest
from edgekit.core.samples import Samples
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.bundles import feed_at, open_session, opened
from edgekit.flows.validate import validate

DATA = Path(__file__).parents[1] / "runtime" / "data"
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
    with opened(DATA / name) as found, open_session(found, found.artifacts[0], Target("local")) as session:
        outputs = session.run(feed_at(found.spec, found.samples, 0))

    assert all(np.isfinite(array).all() for array in outputs.values())
