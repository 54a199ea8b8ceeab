"""Generated inputs keep to the ranges of the spec."""

from __future__ import annotations

import numpy as np

from edgekit.core.generated import generated
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec

SPEC = ModelSpec(
    "net",
    "other",
    (
        TensorSpec("image", "float32", ("N", 3), low=-2.0, high=-1.0),
        TensorSpec("tokens", "int64", ("N", "T"), low=5, high=9),
    ),
    sizes={"T": (4, 7)},
)


def test_values_keep_to_the_range_and_free_axes_to_the_largest_size() -> None:
    samples = generated(SPEC, count=200)

    image, tokens = samples.inputs["image"], samples.inputs["tokens"]
    assert image.shape == (200, 3)
    assert image.min() >= -2.0
    assert image.max() <= -1.0
    assert tokens.shape == (200, 7)
    assert set(np.unique(tokens)) == {5, 6, 7, 8, 9}


def test_the_same_seed_gives_the_same_inputs() -> None:
    first, second, other = (generated(SPEC, count=3, seed=seed).digest() for seed in (1, 1, 2))

    assert first == second
    assert first != other


def test_a_model_without_a_batch_axis_gets_whole_samples() -> None:
    fixed = ModelSpec("net", "other", (TensorSpec("x", "float32", (1, 4)),))

    assert generated(fixed, count=5).inputs["x"].shape == (5, 1, 4)


def test_a_mask_marks_every_position_as_valid() -> None:
    masked = ModelSpec("net", "other", (TensorSpec("attention_mask", "int64", ("N", 7)),), sizes={"N": (1,)})

    assert (generated(masked, count=5).inputs["attention_mask"] == 1).all()
