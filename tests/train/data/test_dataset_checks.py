from __future__ import annotations

import numpy as np
import pytest

from edgekit.core.errors import UserError
from edgekit.core.samples import Samples
from edgekit.train.data.dataset import dataset
from edgekit.train.data.dataset_checks import check, without_copies


def samples(count: int, seed: int) -> Samples:
    x = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    return Samples({"x": x}, np.arange(count, dtype=np.int64) % 2)


def test_clean_data_gives_no_warning() -> None:
    assert check(dataset(samples(40, 0), samples(20, 1), source="clean")) == ()


def test_the_same_sample_in_two_splits_is_a_leak() -> None:
    train, test = samples(40, 0), samples(20, 1)
    test.inputs["x"][7] = train.inputs["x"][3]

    with pytest.raises(UserError, match=r"1 samples of split 'test' are also in 'train' \(a leak\), first 7\."):
        check(dataset(train, test, source="leaky"))


def test_copies_can_be_taken_out() -> None:
    train, test = samples(40, 0), samples(20, 1)
    test.inputs["x"][7] = train.inputs["x"][3]

    assert len(without_copies(train, test)) == 39


def test_an_exhaustive_data_set_has_no_leaks() -> None:
    assert check(dataset(samples(4, 0), samples(4, 0), source="all there is", exhaustive=True)) == ()


def test_missing_values_are_refused_with_their_place() -> None:
    train = samples(40, 0)
    train.inputs["x"][5, 1] = np.nan

    with pytest.raises(UserError, match="'x' of split 'train' misses values in 1 samples, first in 5"):
        check(dataset(train, samples(20, 1), source="holes"))


def test_far_outliers_and_rare_classes_are_warned_of() -> None:
    train = samples(400, 0)
    train.inputs["x"][5, 1] = 1e6
    assert train.labels is not None
    train.labels[:] = 0
    train.labels[3] = 1

    warnings = check(dataset(train, samples(20, 1), source="odd"))

    assert any("extreme outliers" in warning for warning in warnings)
    assert any("Class 1 has 1 of 400" in warning for warning in warnings)
