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
from edgekit.core.samples import Array, Samples, read_array, read_arrays, split, write_arrays
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec

IMAGES = ModelSpec("m", "t", (TensorSpec("x", "float32", ("N", 1, 4)),), (TensorSpec("y", "float32", ("N", 3)),))


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


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_in_an_archive_is_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    np.savez(tmp_path / "a.npz", x=np.array([Touch(ran)], dtype=object))

    with pytest.raises(UserError, match=r"is not an \.npz of plain arrays"):
        read_arrays(tmp_path / "a.npz", UserError)

    assert not ran.exists()
    np.load(tmp_path / "a.npz", allow_pickle=True)["x"]
    assert ran.exists()


def test_an_array_without_values_whose_other_axis_has_no_end_is_refused(tmp_path: Path) -> None:
    endless = np.lib.stride_tricks.as_strided(np.zeros(0, np.int8), (0, 2**62), (0, 0))
    np.save(tmp_path / "x.npy", endless)

    with pytest.raises(UserError, match="it has the shape"):
        read_array(tmp_path / "x.npy")
    with pytest.raises(UserError, match="it has the shape"):
        read_arrays(npz(tmp_path / "x.npz", x=endless), UserError)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Cannot read '.*a\.npz': No such file"):
        read_arrays(tmp_path / "a.npz", UserError)


def test_an_archive_beyond_the_limit_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_arrays(tmp_path / "a.npz", {"a": np.zeros(1000)})
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1000)

    with pytest.raises(UserError, match=r"unpacks to \d+ bytes; the limit is 1000\."):
        read_arrays(tmp_path / "a.npz", UserError)


@pytest.mark.parametrize(("given", "expected"), [((4,), (4, 1)), ((4, 1), (4,)), ((4, 2), (4, 2)), ((4,), (4, 3))])
def test_targets_without_a_name_are_those_of_the_first_output(
    given: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    samples = Samples({"x": np.zeros((4, 1))}, targets={"": np.ones(given)})

    found = samples.with_expected({"price": np.zeros(expected), "other": np.zeros((4, 9))})

    assert list(found.targets) == ["price"]
    assert found.targets["price"].shape == (expected if np.prod(given) == np.prod(expected) else given)
