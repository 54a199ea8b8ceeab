"""Made-up inputs keep what an input means."""

from __future__ import annotations

import numpy as np

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.cases import make_cases
from edgekit.export.checking.meanings import masks

LOWEST = float(np.finfo(np.float32).min)
SPEC = ModelSpec(
    "net",
    "other",
    (
        TensorSpec("ids", "int64", ("N", "T")),
        TensorSpec("attention_mask", "int64", ("N", "T")),
        TensorSpec("additive", "float32", ("N", "T")),
        TensorSpec("padded", "bool", ("N", "T")),
        TensorSpec("x", "float32", ("N", "T")),
        TensorSpec("length", "int64", ("N",)),
    ),
    sizes={"N": (1,), "T": (8,)},
)
# Valid positions are the last ones: a prefix has none.
VALID = np.array([[0, 0, 0, 0, 0, 0, 1, 1]] * 3)
SAMPLES = Samples(
    {
        "ids": np.random.default_rng(0).integers(5, 90, (3, 8)),
        "attention_mask": VALID,
        "additive": np.where(VALID, 0.0, LOWEST).astype(np.float32),
        "padded": VALID == 0,
        "x": np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32),
        "length": np.array([4, 6, 8]),
    }
)


def test_masks_are_known_by_their_name_and_by_their_values() -> None:
    assert masks(SAMPLES, SPEC) == {"attention_mask", "additive", "padded"}


def test_every_made_up_row_has_a_valid_position_and_the_ids_and_lengths_of_a_sample() -> None:
    cases = make_cases(SAMPLES, SPEC)

    assert {case.name for case in cases if case.is_extreme} == {"zeros", "low", "high"}
    assert any(case.sizes["T"] < 6 for case in cases)
    for case in (one for one in cases if one.sizes["T"] > 1):
        for name in ("attention_mask", "additive", "padded"):
            rows = case.feed[name]
            assert (rows != rows[:, :1]).any(axis=1).all(), (case.name, name)
    for case in (one for one in cases if one.is_extreme):
        assert np.array_equal(case.feed["ids"], SAMPLES.inputs["ids"][:1])
        assert np.array_equal(case.feed["length"], SAMPLES.inputs["length"][:1])
