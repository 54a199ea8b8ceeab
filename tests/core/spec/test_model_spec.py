"""Promises of core/spec/model_spec.py."""

from __future__ import annotations

import msgspec
import pytest

from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec


def spec(*inputs: str) -> ModelSpec:
    return ModelSpec("m", "t", tuple(TensorSpec.parse(text) for text in inputs), sizes={"T": (64, 32, 64)})


def test_free_axes_of_a_model_come_once_and_in_order() -> None:
    assert spec("x:float32[N,T]", "mask:bool[N,T,K]").free_axes == ("N", "T", "K")


@pytest.mark.parametrize(
    ("inputs", "axis"),
    [
        (("x:float32[N,8]",), "N"),
        (("x:float32[N,8]", "y:int64[N]"), "N"),
        (("x:float32[N,8]", "y:int64[M]"), None),
        (("x:float32[1,8]",), None),
        (("x:float32[N,8]", "y:int64[]"), None),
        (("x:float32[T,N,8]",), None),
        (("x:float32[T,8]",), "T"),
        (("x:float32[B,N,3]",), "B"),
        ((), None),
    ],
)
def test_the_batch_axis_is_the_first_one_that_all_inputs_share(inputs: tuple[str, ...], axis: str | None) -> None:
    assert spec(*inputs).batch_axis == axis


def test_the_batch_is_no_axis_that_needs_a_size() -> None:
    assert spec("x:float32[N,8]", "table:float32[K,8]").unsized_axes == ("K",)
    assert spec("x:float32[L,N,8]", "y:float32[N]").unsized_axes == ("L",)


def test_sizes_of_an_axis_are_ascending_and_one_by_default() -> None:
    model = spec("x:float32[N,T]")

    assert model.sizes_of("T") == (32, 64)
    assert model.sizes_of("N") == (1,)


def test_a_spec_keeps_its_preprocessing_through_json() -> None:
    before = ModelSpec("m", "t", (), preprocessing=ImageInput(8, 8, 1, mean=(0.5,), invert=True))

    assert msgspec.json.decode(msgspec.json.encode(before), type=ModelSpec) == before
