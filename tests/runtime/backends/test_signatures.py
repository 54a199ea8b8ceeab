"""Which signature runs a feed: exact, split, padded, or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.backends.signatures import (
    Family,
    SignatureEntry,
    TensorEntry,
    cut_back,
    exact_cover,
    family_of,
)


def entry(place: int, shapes: dict[str, tuple[int, ...]], outputs: dict[str, tuple[int, ...]]) -> SignatureEntry:
    tensors = tuple(TensorEntry(name, at, shape, "float32") for at, (name, shape) in enumerate(shapes.items()))
    results = tuple(TensorEntry(name, at, shape, "float32") for at, (name, shape) in enumerate(outputs.items()))
    return SignatureEntry(f"s{place}", place, tensors, results)


def sequence(padding: float | None, *sizes: tuple[int, int]) -> Family:
    entries = [entry(i, {"x": (n, t)}, {"y": (n, t)}) for i, (n, t) in enumerate(sizes)]
    spec = TensorSpec("x", "float32", ("N", "T"), padding=padding)
    return family_of(entries, (spec,), (TensorSpec("y", "float32", ("N", "T")),))


def test_a_signature_without_rows_runs_no_batch() -> None:
    assert sequence(None, (0, 4), (100, 4)).chunks({"N": 1, "T": 4}) == ()
    assert sequence(None, (0, 4), (2, 4)).chunks({"N": 4, "T": 4}) == (2, 2)


@given(st.integers(1, 60), st.sets(st.integers(1, 12), min_size=1, max_size=4))
def test_a_cover_adds_up_with_the_fewest_parts(total: int, offered: set[int]) -> None:
    cover = exact_cover(total, tuple(sorted(offered)))

    reachable = {0}
    rounds = 0
    while total not in reachable and rounds < total:
        reachable = {a + b for a in reachable for b in offered if a + b <= total}
        rounds += 1
    if total in reachable:
        assert sum(cover) == total
        assert set(cover) <= offered
        assert len(cover) == rounds
    else:
        assert cover == ()


def test_the_smallest_signature_that_fits_is_taken() -> None:
    family = sequence(0.0, (1, 4), (1, 8), (4, 8))

    chosen = [family.fitting({"N": n, "T": t}) for n, t in ((1, 3), (1, 4), (1, 5), (3, 5), (4, 9))]

    assert [found and found.name for found in chosen] == ["s0", "s0", "s1", "s2", None]


def test_without_padding_only_the_exact_size_fits() -> None:
    family = sequence(None, (1, 4), (1, 8))

    assert family.fitting({"N": 1, "T": 8}) is family.entries[1]
    assert family.fitting({"N": 1, "T": 5}) is None


@pytest.mark.parametrize(
    ("padding", "batches", "total", "chunks"),
    [
        (None, (1, 8), 3, (1, 1, 1)),
        (None, (1, 8), 17, (8, 8, 1)),
        (None, (4, 6), 8, (4, 4)),
        (None, (4,), 6, ()),
        (None, (4,), 0, ()),
        (0.0, (4,), 6, (4, 4)),
        (0.0, (2, 8), 11, (8, 8)),
        (0.0, (8,), 3, (8,)),
    ],
)
def test_a_batch_is_split_exactly_and_padded_only_if_it_must(
    padding: float | None, batches: tuple[int, ...], total: int, chunks: tuple[int, ...]
) -> None:
    family = sequence(padding, *((n, 4) for n in batches))

    assert family.chunks({"N": total, "T": 4}) == chunks


def test_a_batch_is_split_only_into_signatures_that_take_the_other_axes() -> None:
    family = sequence(None, (1, 4), (1, 8), (8, 4))

    assert family.chunks({"N": 9, "T": 4}) == (8, 1)
    assert family.chunks({"N": 9, "T": 8}) == (1,) * 9
    assert family.chunks({"N": 9, "T": 6}) == ()


def test_an_output_without_the_batch_forbids_splitting() -> None:
    entries = [entry(0, {"x": (1, 4)}, {"mean": (4,)}), entry(1, {"x": (2, 4)}, {"mean": (4,)})]
    family = family_of(entries, (TensorSpec("x", "float32", ("N", 4)),), ())

    assert family.chunks({"N": 3}) == ()
    assert family.fitting({"N": 2}) is family.entries[1]


def test_an_output_that_depends_on_an_axis_in_a_hidden_way_forbids_padding() -> None:
    entries = [entry(0, {"x": (1, 4)}, {"y": (1, 2)}), entry(1, {"x": (1, 8)}, {"y": (1, 4)})]
    family = family_of(entries, (TensorSpec("x", "float32", ("N", "T"), padding=0.0),), ())

    assert family.outputs[0].shape == ("N", "y.1")
    assert family.fitting({"N": 1, "T": 6}) is None


def test_axes_without_a_spec_are_named_where_sizes_differ() -> None:
    entries = [entry(i, {"a": (n, 3), "b": (n, t)}, {"y": (n, t)}) for i, (n, t) in enumerate(((1, 4), (8, 4), (8, 9)))]

    family = family_of(entries, (), ())

    assert [tensor.shape for tensor in family.inputs] == [("a.0", 3), ("a.0", "b.1")]
    assert family.outputs[0].shape == ("a.0", "b.1")
    assert family.batch == "a.0"
    assert family.sizes == ({"a.0": 1, "b.1": 4}, {"a.0": 8, "b.1": 4}, {"a.0": 8, "b.1": 9})


def test_the_dtype_of_the_spec_stands_where_the_file_stores_a_narrower_one() -> None:
    ids = SignatureEntry(
        "s", 0, (TensorEntry("ids", 0, (1, 4), "int32"),), (TensorEntry("y", 1, (1, 2), "int8", 0.5, 3),)
    )

    family = family_of([ids], (TensorSpec("ids", "int64", ("N", 4)),), ())

    assert family.inputs[0].dtype == "int64"
    assert family.outputs[0].dtype == "float32"


def test_an_output_without_the_axes_that_the_model_states_is_told() -> None:
    spec = TensorSpec("y", "float32", ("N", "T", 2))

    with pytest.raises(ValueError, match="'y' has 0 axes; the model states 3"):
        cut_back(np.zeros(()), spec, {"N": 1, "T": 4})
