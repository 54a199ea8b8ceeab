"""Promises of core/spec/tensor_spec.py."""

from __future__ import annotations

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.errors import UserError
from edgekit.core.spec.tensor_spec import DTYPES, TensorSpec, parse_sizes

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
