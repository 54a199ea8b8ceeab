"""Samples that no range can be read from are warned of, with numbers; good ones are not."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.calibration_quality import warnings_of

SPEC = ModelSpec("net", "other", (TensorSpec("x", "float32", ("N", 4), low=-2.0, high=2.0),))


def drawn(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, (count, 4)).astype(np.float32)


EVALUATED = drawn(200, seed=1)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (drawn(3), "calibrated on only 3 distinct samples"),
        (np.zeros((64, 4), np.float32), "every calibration value of 'x' is 0"),
        (np.repeat(drawn(32), 2, axis=0), "32 of 64 calibration samples are duplicates"),
        (np.concatenate([drawn(60), EVALUATED[:4]]), "4 of 64 calibration samples are also evaluation samples"),
        (drawn(64) / 4, "% of the values of 'x' saturate outside the calibrated -0.49"),
        (drawn(64) * 4, "% of the calibration values of 'x' are outside the model's range of -2 to 2"),
        (drawn(64) * 4, "they do not look like the same data"),
    ],
    ids=["few", "dummy", "copies", "leaked", "saturated", "strange", "noise"],
)
def test_bad_samples_are_told(arrays: np.ndarray, said: str) -> None:
    found = warnings_of(Samples({"x": arrays}), Samples({"x": EVALUATED}), SPEC)

    assert any(said in text for text in found), found


def test_good_samples_are_not_talked_about() -> None:
    assert warnings_of(Samples({"x": drawn(128)}), Samples({"x": EVALUATED}), SPEC) == ()


def test_token_ids_have_no_range() -> None:
    spec = ModelSpec("net", "other", (TensorSpec("ids", "int64", ("N", 4)),))
    ids = np.random.default_rng(0).integers(0, 100, (64, 4))

    assert warnings_of(Samples({"ids": ids}), Samples({"ids": ids[::-1] + 500}), spec) == ()
