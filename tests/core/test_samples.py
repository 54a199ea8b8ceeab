"""Promises of core/samples.py."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.core import samples as module
from edgekit.core.errors import BundleUnreadable, DiskFull, UserError
from edgekit.core.samples import Array, Samples, read_arrays, read_user_samples, sample_problems, split, write_arrays
from edgekit.core.spec import ModelSpec, TensorSpec

IMAGES = ModelSpec("m", "t", (TensorSpec("x", "float32", ("N", 1, 4)),), (TensorSpec("y", "float32", ("N", 3)),))
TOKENS = ModelSpec("m", "t", (TensorSpec("ids", "int32", ("N", "T")), TensorSpec("mask", "bool", ("N", "T"))))
SINGLE = ModelSpec("m", "t", (TensorSpec("x", "float32", (1, 4)),))


def images(count: int, *, copies: int = 1, seed: int = 0) -> Samples:
    """`count` different samples, each `copies` times in a row, whose label is their number."""
    inputs = np.random.default_rng(seed).normal(size=(count, 1, 4)).astype(np.float32)
    return Samples({"x": np.repeat(inputs, copies, axis=0)}, np.repeat(np.arange(count), copies))


def npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def labels(samples: Samples) -> set[int]:
    assert samples.labels is not None
    return set(samples.labels.tolist())


# --- splitting


@given(st.integers(2, 30), st.integers(-1, 40), st.integers(0, 5), st.integers(1, 3), st.randoms(use_true_random=False))
def test_a_split_never_overlaps_and_knows_no_order(
    count: int, wanted: int, seed: int, copies: int, chance: Any
) -> None:
    samples = images(count, copies=copies)
    order = chance.sample(range(len(samples)), len(samples))

    here = split(samples, calibration=wanted, seed=seed)
    there = split(samples.take(order), calibration=wanted, seed=seed)

    assert labels(here.calibration) == labels(there.calibration)
    assert labels(here.calibration) | labels(here.evaluation) == set(range(count))
    assert not labels(here.calibration) & labels(here.evaluation)
    assert len(labels(here.calibration)) == max(1, min(wanted, count // 2))
    assert len(here.calibration) + len(here.evaluation) == count * copies


def test_a_split_is_the_same_every_time_and_another_with_another_seed() -> None:
    samples = images(100)

    first, again, other = (split(samples, calibration=50, seed=seed) for seed in (0, 0, 1))

    assert first.calibration.digest() == again.calibration.digest()
    assert first.calibration.digest() != other.calibration.digest()


def test_copies_stay_together_whatever_their_labels() -> None:
    samples = images(10, copies=2)
    relabelled = Samples(samples.inputs, np.arange(20))

    parts = split(relabelled, calibration=5)

    assert {label // 2 for label in labels(parts.calibration)}.isdisjoint(
        {label // 2 for label in labels(parts.evaluation)}
    )


@pytest.mark.parametrize(("count", "copies"), [(1, 1), (1, 7)])
def test_one_sample_cannot_be_split(count: int, copies: int) -> None:
    with pytest.raises(UserError, match="needs at least 2 different samples, got 1"):
        split(images(count, copies=copies), calibration=1)


def test_rows_stay_together_over_all_arrays() -> None:
    samples = images(20).with_expected({"y": np.arange(20.0)})

    part = split(samples, calibration=8).evaluation

    assert part.labels is not None
    np.testing.assert_array_equal(part.expected["y"], part.labels)
    np.testing.assert_array_equal(part.inputs["x"], samples.inputs["x"][part.labels])


def test_the_record_of_a_split_says_what_was_divided_and_how() -> None:
    parts = split(images(20), calibration=8, seed=3)

    facts = parts.facts("mine.npz")

    assert (facts.source, facts.total, facts.calibration, facts.evaluation) == ("mine.npz", 20, 8, 12)
    assert (facts.seed, facts.labelled) == (3, True)
    assert facts.calibration_digest == parts.calibration.digest() != facts.evaluation_digest


# --- files


ARRAYS = st.dictionaries(
    st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:]{0,6}", fullmatch=True),
    st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    ),
    max_size=3,
)


@given(arrays=ARRAYS)
def test_arrays_read_back_exactly(arrays: dict[str, Array], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.npz"

    write_arrays(path, arrays)
    back = read_arrays(path, UserError)

    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (back[name].dtype, back[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(back[name], array)


def test_samples_read_back_with_labels_targets_and_references(tmp_path: Path) -> None:
    whole = Samples({"x": np.ones((2, 3))}, np.array([0, 1]), {"y": np.zeros(2)}, {"y": np.full(2, 0.5)})

    whole.save(tmp_path / "s.npz")
    back = Samples.load(tmp_path / "s.npz")

    assert back.digest() == whole.digest()
    assert back.labels is not None
    assert back.labels.tolist() == [0, 1]
    assert (back.targets["y"].tolist(), back.expected["y"].tolist()) == ([0, 0], [0.5, 0.5])


def test_the_same_arrays_give_the_same_bytes_in_any_order_and_layout(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)

    write_arrays(tmp_path / "a.npz", {"a": array, "b": array})
    write_arrays(tmp_path / "b.npz", {"b": np.asfortranarray(array), "a": array})

    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_full_disk_leaves_no_half_an_archive(tiny_disk: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 1 << 20, dtype=np.uint8)

    with pytest.raises(DiskFull):
        write_arrays(tiny_disk / "a.npz", {"a": noise})

    assert list(tiny_disk.iterdir()) == []


def test_the_digest_is_of_the_inputs_alone() -> None:
    samples = images(3)

    assert samples.digest() == Samples(samples.inputs).digest()
    assert samples.digest() != Samples({"z": samples.inputs["x"]}).digest()
    assert samples.digest() != Samples({"x": samples.inputs["x"].reshape(3, 4)}).digest()


@given(place=st.integers(0, 10**6), noise=st.binary(min_size=1, max_size=40), truncate=st.booleans())
def test_a_damaged_archive_is_told_or_harmless_but_never_a_fault(
    place: int, noise: bytes, truncate: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    write_arrays(folder / "a.npz", {"a": np.arange(200.0), "b": np.ones((3, 3), np.int8)})
    whole = (folder / "a.npz").read_bytes()
    start = place % len(whole)
    (folder / "a.npz").write_bytes(whole[:start] + noise + (b"" if truncate else whole[start + len(noise) :]))

    try:
        arrays = read_arrays(folder / "a.npz", BundleUnreadable)
    except BundleUnreadable as err:
        assert "is not an .npz of plain arrays" in err.message  # noqa: PT017  # either outcome is right
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


def _member(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no zip",
        _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n") + bytes(4),
        _member("a.npy", b"no array"),
        _member("notes.txt", b"no array"),
        _member("a.npy", _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }\n")),
        _member("a.npy", _npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n")),
        _member("a.npy", _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n") + b"cos\nsystem\n."),
        _member("a.npy", _npy("__import__('os').getcwd()\n")),
        _member("a.npy", _npy("((((\n")),
    ],
    ids=["empty", "text", "npy", "no array", "text member", "terabytes", "negative", "pickle", "code", "brackets"],
)
def test_a_file_that_is_no_archive_of_plain_arrays_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(data)

    with pytest.raises(UserError, match=r"'.*a\.npz' is not an \.npz of plain arrays: "):
        read_arrays(tmp_path / "a.npz", UserError)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read '.*a\.npz': No such file"):
        read_arrays(tmp_path / "a.npz", UserError)


def test_an_archive_beyond_the_limit_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_arrays(tmp_path / "a.npz", {"a": np.zeros(1000)})
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)

    with pytest.raises(UserError, match=r"unpacks to \d+ bytes; the limit is 1000\."):
        read_arrays(tmp_path / "a.npz", UserError)


# --- what users bring


def test_the_samples_of_a_user_are_read_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    path = npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4), np.uint8), label=np.arange(5, dtype=np.uint8))

    samples = read_user_samples(path, IMAGES)

    assert (samples.inputs["x"].dtype, samples.inputs["x"].shape) == (np.dtype("float32"), (5, 1, 4))
    assert samples.labels is not None
    assert samples.labels.dtype == np.int64
    assert samples.is_labelled


def test_samples_without_labels_are_read_and_say_so(tmp_path: Path) -> None:
    assert not read_user_samples(npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4))), IMAGES).is_labelled


def test_reference_values_make_samples_labelled(tmp_path: Path) -> None:
    samples = read_user_samples(
        npz(tmp_path / "s.npz", **{"x": np.zeros((5, 1, 4)), "target:y": np.zeros((5, 3))}), IMAGES
    )

    assert samples.is_labelled
    assert samples.targets["y"].shape == (5, 3)


def test_rows_of_samples_fit_a_model_with_a_fixed_batch_of_one(tmp_path: Path) -> None:
    spec = ModelSpec(
        "net", "other", (TensorSpec("x", "float32", (1, 8)), TensorSpec("rate", "float32", ())), (), sizes={}
    )
    arrays = {"x": np.ones((3, 8), np.float32), "rate": np.ones(3, np.float32), "target:y": np.ones((3, 2))}
    np.savez(tmp_path / "samples.npz", **arrays)  # type: ignore[arg-type]  # its last keyword is a flag

    found = read_user_samples(tmp_path / "samples.npz", spec)

    assert found.inputs["x"].shape == (3, 1, 8)
    assert found.inputs["rate"].shape == (3,)
    assert found.targets["y"].shape == (3, 1, 2)


def test_a_model_without_a_batch_axis_takes_one_sample_a_row(tmp_path: Path) -> None:
    assert len(read_user_samples(npz(tmp_path / "s.npz", x=np.zeros((5, 1, 4))), SINGLE)) == 5


X = np.zeros((5, 1, 4), np.float32)
NAN = np.where(np.arange(20).reshape(5, 1, 4) == 13, np.nan, 0)


@pytest.mark.parametrize(
    ("spec", "arrays", "problems"),
    [
        (IMAGES, {}, ["'x' is missing.", "there are no samples."]),
        (
            IMAGES,
            {"X": X},
            ["'x' is missing. Did you mean 'X'?", "'X' is not an input of the model. Did you mean 'x'?"],
        ),
        (IMAGES, {"x": X, "y": X}, ["'y' is not an input of the model."]),
        (IMAGES, {"x": X[:0]}, ["there are no samples."]),
        (IMAGES, {"x": X[0, 0]}, ["'x' has shape () per sample, expected (1, 4)."]),
        (IMAGES, {"x": X[:, 0]}, ["'x' has shape (4) per sample, expected (1, 4)."]),
        (IMAGES, {"x": X.reshape(5, 4, 1)}, ["'x' has shape (4, 1) per sample, expected (1, 4)."]),
        (IMAGES, {"x": X + 1j}, ["'x' has dtype complex64, expected float32."]),
        (IMAGES, {"x": np.full((5, 1, 4), "a")}, ["'x' has dtype <U1, expected float32."]),
        (IMAGES, {"x": NAN}, ["'x' contains NaN or infinity, first in sample 3."]),
        (IMAGES, {"x": X + np.inf}, ["'x' contains NaN or infinity, first in sample 0."]),
        (
            IMAGES,
            {"x": np.full((5, 1, 4), 1e300)},
            ["'x' contains values from 1e+300 to 1e+300, which float32 cannot represent."],
        ),
        (IMAGES, {"x": X, "label": np.arange(4)}, ["sample counts differ: x 5, label 4."]),
        (IMAGES, {"x": X, "label": np.arange(5.0)}, ["'label' must contain one class index per sample, got float64"]),
        (
            IMAGES,
            {"x": X, "label": np.eye(5, dtype=int)},
            ["'label' must contain one class index per sample, got int64"],
        ),
        (IMAGES, {"x": X, "label": np.arange(5) - 1}, ["'label' contains a negative class index."]),
        (IMAGES, {"x": X, "target:z": X}, ["'z' is not an output of the model."]),
        (IMAGES, {"x": X, "target:y": NAN}, ["'target:y' contains NaN or infinity, first in sample 3."]),
        (IMAGES, {"x": X, "target:y": np.full(5, "a")}, ["'target:y' has dtype <U1, expected numbers."]),
        (SINGLE, {"x": np.float32(np.nan)}, ["there are no samples.", "'x' has shape () per sample, expected (1, 4)."]),
        (
            TOKENS,
            {"ids": np.zeros((5, 7), int), "mask": np.zeros((5, 6), bool)},
            ["axis 'T' differs: ids 7, mask 6."],
        ),
        (
            TOKENS,
            {"ids": np.zeros((5, 0), int), "mask": np.zeros((5, 0), bool)},
            ["'ids' has shape (0) per sample, expected (T).", "'mask' has shape (0) per sample, expected (T)."],
        ),
        (
            TOKENS,
            {"ids": np.full((5, 7), 2**31), "mask": np.ones((5, 7), bool)},
            ["'ids' contains values from 2147483648 to 2147483648, which int32 cannot represent."],
        ),
        (
            TOKENS,
            {"ids": np.zeros((5, 7)), "mask": np.zeros((4, 7), bool)},
            ["sample counts differ: ids 5, mask 4.", "'ids' has dtype float64, expected int32."],
        ),
    ],
    ids=lambda value: None if isinstance(value, ModelSpec | dict) else value[0],
)
def test_every_problem_of_the_samples_is_told_at_once(
    spec: ModelSpec, arrays: dict[str, Any], problems: list[str], tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        read_user_samples(npz(tmp_path / "s.npz", **arrays), spec)

    headline, *told = caught.value.message.split("\n  ")
    assert headline.endswith("s.npz' do not fit the model:")
    assert [line[: len(problem)] for line, problem in zip(told, problems, strict=True)] == problems
    assert caught.value.hint.startswith(f"numpy.savez(FILE, {spec.inputs[0].name}=array of {spec.inputs[0].dtype}")


def test_a_label_beyond_the_classes_of_the_model_is_refused() -> None:
    spec = ModelSpec("m", "t", IMAGES.inputs, labels=("cat", "dog"))

    assert sample_problems({"x": X, "label": np.array([0, 1, 0, 1, 2])}, spec) == [
        "'label' contains class 2; the model has classes 0 to 1."
    ]
    assert sample_problems({"x": X, "label": np.array([0, 1, 0, 1, 1])}, spec) == []


@pytest.mark.parametrize("value", [200, -129])
def test_a_value_is_never_wrapped_around(value: int) -> None:
    spec = ModelSpec("m", "t", (TensorSpec("x", "int8", ("N",)),))

    assert sample_problems({"x": np.array([value], np.int16)}, spec) == [
        f"'x' contains values from {value} to {value}, which int8 cannot represent."
    ]
