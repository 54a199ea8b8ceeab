"""Promises of core/spec.py."""

from __future__ import annotations

import contextlib
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.errors import UserError
from edgekit.core.spec import (
    DTYPES,
    ImageInput,
    Metric,
    ModelSpec,
    TensorSpec,
    drop_unit,
    metric_unit,
    parse_sizes,
)

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,8}", fullmatch=True)
AXES = st.integers(min_value=1, max_value=999_999_999) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
TENSORS = st.builds(TensorSpec, NAMES, st.sampled_from(DTYPES), st.lists(AXES, max_size=5).map(tuple))


@given(TENSORS)
def test_the_text_of_a_tensor_reads_back(tensor: TensorSpec) -> None:
    assert TensorSpec.parse(str(tensor)) == tensor


def test_spaces_in_a_tensor_text_are_no_matter() -> None:
    assert TensorSpec.parse("x : float32 [N, 1, 28]") == TensorSpec("x", "float32", ("N", 1, 28))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "'x' is not NAME:DTYPE[SHAPE]."),
        ("x:float32", "'x:float32' is not NAME:DTYPE[SHAPE]."),
        ("x:float32[1]]", "'x:float32[1]]' is not NAME:DTYPE[SHAPE]."),
        ("x:float[1]", "Unknown dtype 'float'. Did you mean 'float"),
        ("x:int46[1]", "Unknown dtype 'int46'. Did you mean 'int64'?"),
        ("x:float32[0]", "'0' in 'x:float32[0]' is neither a size of at least 1 nor the name of a dynamic axis."),
        ("x:float32[-1,3]", "'-1' in 'x:float32[-1,3]' is neither"),
        ("x:float32[1,,3]", "'' in 'x:float32[1,,3]' is neither"),
        ("x:float32[1,]", "'' in 'x:float32[1,]' is neither"),
        ("x:float32[\u00b2]", "'\u00b2' in"),
        (f"x:float32[{'9' * 5000}]", "'999"),
    ],
)
def test_a_wrong_tensor_text_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        TensorSpec.parse(text)

    assert caught.value.message.startswith(message)


@given(st.text(alphabet=string.printable, max_size=30))
def test_any_text_is_a_tensor_or_a_usage_error(text: str) -> None:
    with contextlib.suppress(UserError):
        assert TensorSpec.parse(text).dtype in DTYPES


def test_free_axes_take_their_sizes() -> None:
    tensor = TensorSpec.parse("x:float32[N,T,8]")

    assert tensor.free_axes == ("N", "T")
    assert tensor.concrete({"N": 2, "T": 5}) == (2, 5, 8)


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


@pytest.mark.parametrize(("metric", "higher"), [("accuracy", True), ("mae", False), ("mse", False)])
def test_errors_are_better_when_lower(metric: str, higher: bool) -> None:
    assert Metric(metric).higher_is_better is higher


@pytest.mark.parametrize(
    ("metric", "unit", "drop"),
    [("accuracy", "ratio", "points"), ("auc", "ratio", "points"), ("bleu", "1", "1"), ("mae", "1", "1")],
)
def test_shares_are_printed_in_per_cent_and_their_drops_in_points(metric: str, unit: str, drop: str) -> None:
    assert (metric_unit(metric), drop_unit(metric)) == (unit, drop)


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        ([], {}),
        (["T=32,64"], {"T": (32, 64)}),
        (["T=64,32,64", "N = 1, 8"], {"T": (32, 64), "N": (1, 8)}),
        (["T=32", "T=64"], {"T": (32, 64)}),
        (["x:0.1=8"], {"x:0.1": (8,)}),
    ],
)
def test_sizes_are_read_per_axis(texts: list[str], sizes: dict[str, tuple[int, ...]]) -> None:
    assert parse_sizes(texts) == sizes


@pytest.mark.parametrize("text", ["T", "T=", "T=0", "T=00", "T=1,0", "T=-1", "T=1.5", "1=2", f"T={'9' * 5000}"])
def test_wrong_sizes_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not AXIS=SIZE,SIZE") as caught:
        parse_sizes([text])

    assert caught.value.hint == "--sizes T=32,64"


def test_a_spec_keeps_its_preprocessing_through_json() -> None:
    before = ModelSpec("m", "t", (), preprocessing=ImageInput(8, 8, 1, mean=(0.5,), invert=True))

    assert msgspec.json.decode(msgspec.json.encode(before), type=ModelSpec) == before


@pytest.mark.parametrize(
    ("metric", "value", "met"),
    [
        (Metric("accuracy"), None, True),
        (Metric("accuracy", 0.9), None, False),
        (Metric("accuracy", 0.9), 0.91, True),
        (Metric("accuracy", 0.9), 0.89, False),
        (Metric("mae", 0.9), 0.89, True),
        (Metric("mae", 0.9), 0.91, False),
    ],
)
def test_a_floor_is_met_from_the_side_that_is_better(metric: Metric, value: float | None, met: bool) -> None:
    assert metric.is_met_by(value) is met
