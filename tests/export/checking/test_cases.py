"""Cases cover batches, lengths, signatures and extreme inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.core.errors import BundleUnreadable
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.cases import Case, load_cases, make_cases, save_cases, worth_keeping
from edgekit.export.shapes.lengths import lengths

RNG = np.random.default_rng(0)


def spec_of(*tensors: TensorSpec, **sizes: tuple[int, ...]) -> ModelSpec:
    return ModelSpec("net", "other", tensors, sizes=sizes)


IMAGES = TensorSpec("x", "float32", ("N", 2), low=-1.0, high=1.0)
STEPS = TensorSpec("x", "float32", ("N", "T", 2))
PADDED = TensorSpec("x", "float32", ("N", "T", 2), padding=0.0)


def answered(cases: tuple[Case, ...]) -> list[Case]:
    return [case.with_expected({"y": np.zeros((case.rows, 1))}, {}) for case in cases]


def test_batches_one_two_and_five_and_the_limits_of_the_range() -> None:
    samples = Samples({"x": RNG.normal(size=(3, 2)).astype(np.float32)})

    cases = {case.name: case for case in make_cases(samples, spec_of(IMAGES, N=(1,)))}

    assert list(cases) == ["N=1", "N=2", "N=5", "zeros", "low", "high"]
    assert [cases[f"N={size}"].rows for size in (1, 2, 5)] == [1, 2, 5]
    np.testing.assert_array_equal(cases["N=5"].feed["x"], samples.inputs["x"][[0, 1, 2, 0, 1]])
    assert cases["high"].feed["x"].tolist() == [[1.0, 1.0]]


def test_free_lengths_are_tried_shorter_and_at_every_signature() -> None:
    samples = Samples({"x": RNG.normal(size=(3, 16, 2)).astype(np.float32)})
    spec = spec_of(STEPS, N=(1,), T=(4, 16))

    kept = worth_keeping(answered(make_cases(samples, spec)), samples, spec)

    names = [case.name for case in kept if not case.is_extreme]
    assert names == ["N=1 T=16", "N=2 T=16", "N=5 T=16", "N=2 T=8", "N=2 T=12", "N=1 T=4"]
    shorter = next(case for case in kept if case.name == "N=2 T=8")
    np.testing.assert_array_equal(shorter.feed["x"], samples.inputs["x"][:2, :8])


def test_lengths_that_the_module_refuses_are_replaced_by_others() -> None:
    samples = Samples({"x": RNG.normal(size=(3, 10, 2)).astype(np.float32)})
    spec = spec_of(STEPS, N=(1,), T=(10,))
    even = [case for case in answered(make_cases(samples, spec)) if case.sizes["T"] % 2 == 0]

    kept = worth_keeping(even, samples, spec)

    assert {case.sizes["T"] for case in kept} == {10, 8, 2}


def test_a_padded_axis_is_tried_one_below_its_smallest_signature() -> None:
    assert lengths(16, spec_of(PADDED, T=(12, 16)), "T")[0] == 11


def test_a_model_without_a_batch_axis_has_one_case_of_one_sample() -> None:
    samples = Samples({"x": RNG.normal(size=(3, 2)).astype(np.float32)})

    cases = make_cases(samples, spec_of(TensorSpec("x", "float32", (2,))))

    assert [(case.name, case.rows, case.feed["x"].shape) for case in cases if not case.is_extreme] == [
        ("one sample", 1, (2,))
    ]


def test_token_ids_stay_within_those_of_the_samples() -> None:
    samples = Samples({"x": RNG.integers(3, 9, (4, 5))})

    cases = make_cases(samples, spec_of(TensorSpec("x", "int64", ("N", 5), low=3, high=8)))

    assert all(case.feed["x"].min() >= 3 and case.feed["x"].max() <= 8 for case in cases)
    assert {str(case.feed["x"].dtype) for case in cases} == {"int64"}


def test_made_up_inputs_without_a_finite_answer_are_dropped() -> None:
    samples = Samples({"x": np.zeros((2, 2), np.float32)})
    bad = Case("zeros", {"N": 1}, {"x": np.zeros((1, 2))}, {"y": np.array([np.nan])})

    assert worth_keeping([bad], samples, spec_of(IMAGES)) == ()


def test_cases_come_back_from_their_file_as_they_were(tmp_path: Path) -> None:
    case = Case("N=2 T=3", {"N": 2, "T": 3}, {"x": np.ones((2, 3))}, {"a:b": np.arange(2)}, rows=2)

    save_cases(tmp_path / "cases.npz", [case, case])
    (_, loaded) = load_cases(tmp_path / "cases.npz")

    assert (loaded.name, loaded.sizes, loaded.rows) == (case.name, case.sizes, case.rows)
    np.testing.assert_array_equal(loaded.feed["x"], case.feed["x"])
    np.testing.assert_array_equal(loaded.expected["a:b"], case.expected["a:b"])


def test_a_file_without_a_table_is_no_file_of_cases(tmp_path: Path) -> None:
    np.savez(tmp_path / "cases.npz", x=np.ones(3))

    with pytest.raises(BundleUnreadable, match="does not contain valid parity cases"):
        load_cases(tmp_path / "cases.npz")
