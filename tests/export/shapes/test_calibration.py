"""Calibration feeds come at the sizes of the file that is calibrated."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.shapes.calibration import feeds, feeds_of_sizes, fitted

STEPS = TensorSpec("x", "float32", ("N", "T"))
SPEC = ModelSpec("net", "other", (STEPS,))
SAMPLES = Samples({"x": np.arange(40, dtype=np.float32).reshape(20, 2)})


def test_every_sample_is_fed_once() -> None:
    found = np.concatenate([feed["x"] for feed in feeds(SAMPLES, SPEC)])

    np.testing.assert_array_equal(found, SAMPLES.inputs["x"])


def test_a_fixed_batch_is_fed_one_sample_at_a_time() -> None:
    spec = ModelSpec("net", "other", (TensorSpec("x", "float32", (2,)),))

    assert [feed["x"].shape for feed in feeds(SAMPLES, spec)] == [(2,)] * 20


def test_the_last_batch_is_filled_up() -> None:
    found = list(feeds_of_sizes(SAMPLES, SPEC, {"N": 8, "T": 2}))

    assert [feed["x"].shape for feed in found] == [(8, 2)] * 3
    np.testing.assert_array_equal(found[-1]["x"][4], SAMPLES.inputs["x"][0])


def test_an_array_is_cut_or_repeated_to_its_sizes() -> None:
    array = np.array([[1, 2, 3]])

    assert fitted(array, STEPS, {"N": 1, "T": 2}).tolist() == [[1, 2]]
    assert fitted(array, STEPS, {"N": 2, "T": 5}).tolist() == [[1, 2, 3, 1, 2]] * 2
