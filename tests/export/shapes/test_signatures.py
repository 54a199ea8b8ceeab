"""Fixed-shape files have one entry point for every combination of sizes."""

from __future__ import annotations

import pytest

from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.shapes.signatures import fits, signatures_of


def spec_of(*inputs: TensorSpec, **sizes: tuple[int, ...]) -> ModelSpec:
    return ModelSpec("net", "other", inputs, sizes=sizes)


X = TensorSpec("x", "float32", ("N", "T", 4))
PADDED = TensorSpec("x", "float32", ("N", "T", 4), padding=0.0)


def test_every_combination_has_its_signature() -> None:
    found = signatures_of(spec_of(X, N=(1, 8), T=(16, 32)))

    assert [(one.name, one.sizes) for one in found] == [
        ("N1_T16", {"N": 1, "T": 16}),
        ("N1_T32", {"N": 1, "T": 32}),
        ("N8_T16", {"N": 8, "T": 16}),
        ("N8_T32", {"N": 8, "T": 32}),
    ]


def test_a_single_combination_has_the_name_that_every_tool_looks_for() -> None:
    assert [one.name for one in signatures_of(spec_of(X, T=(16,)))] == ["serving_default"]


def test_a_model_without_free_axes_has_one_signature() -> None:
    assert [one.sizes for one in signatures_of(spec_of(TensorSpec("x", "float32", (1, 4))))] == [{}]


@pytest.mark.parametrize(
    ("tensor", "sizes", "is_taken"),
    [
        (X, {"N": 5, "T": 16}, True),  # batches are split
        (X, {"N": 1, "T": 15}, False),
        (PADDED, {"N": 1, "T": 15}, True),
        (PADDED, {"N": 1, "T": 33}, False),  # nothing is ever cut off
    ],
)
def test_sizes_fit_exactly_or_by_padding(tensor: TensorSpec, sizes: dict[str, int], is_taken: bool) -> None:
    spec = spec_of(tensor, T=(16, 32))

    assert fits(signatures_of(spec), sizes, spec) is is_taken


def test_a_file_with_free_axes_takes_any_size() -> None:
    assert fits((), {"N": 3, "T": 1}, spec_of(X))
