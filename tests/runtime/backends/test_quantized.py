"""Values at the border of a file that stores other numbers than callers use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.core.errors import UserError
from edgekit.runtime.backends.quantized import giving, storing
from edgekit.runtime.backends.signatures import TensorEntry

FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)


def quantized(dtype: str, scale: float, zero_point: int) -> TensorEntry:
    return TensorEntry("x", 0, (1,), dtype, scale, zero_point)


@given(
    st.lists(st.floats(-1000, 1000, width=32), min_size=1, max_size=8),
    st.sampled_from(["int8", "uint8", "int16"]),
    st.floats(0.01, 2.0),
    st.integers(0, 20),
)
def test_what_is_stored_comes_back_within_half_a_step_or_clipped(
    values: list[float], dtype: str, scale: float, zero_point: int
) -> None:
    tensor = quantized(dtype, scale, zero_point)
    back = giving(tensor)
    assert back is not None
    array = np.array(values, np.float32)

    stored = storing(tensor)[FLOAT32](array)

    limits = np.iinfo(dtype)
    low, high = (limits.min - zero_point) * scale, (limits.max - zero_point) * scale
    assert stored.dtype == dtype
    assert back(stored).dtype == np.float32
    np.testing.assert_allclose(
        np.asarray(back(stored), np.float64), np.clip(array, low, high), atol=0.501 * scale, rtol=1e-5
    )


def test_the_callers_array_is_left_alone() -> None:
    array = np.array([1.0, 2.0], np.float32)

    storing(quantized("int8", 0.5, 3))[FLOAT32](array)

    assert array.tolist() == [1.0, 2.0]


def test_a_number_without_an_axis_is_quantized_and_given_back() -> None:
    tensor = quantized("int8", 0.5, 3)
    back = giving(tensor)
    assert back is not None

    stored = storing(tensor)[FLOAT32](np.array(2.0, np.float32))

    assert stored.dtype == np.int8
    assert (stored.shape, int(stored)) == ((), 7)
    assert (back(stored).shape, float(back(stored))) == ((), 2.0)


def test_a_tensor_that_is_not_quantized_is_given_as_it_is() -> None:
    assert giving(TensorEntry("y", 0, (1,), "int8")) is None
    assert storing(TensorEntry("y", 0, (1,), "float32")) == {}


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**62])
def test_int64_beyond_int32_is_refused_with_the_value(value: int) -> None:
    narrow = storing(TensorEntry("ids", 0, (2,), "int32"))[INT64]

    assert narrow(np.array([2**31 - 1, -(2**31)])).tolist() == [2**31 - 1, -(2**31)]
    with pytest.raises(UserError, match=f"'ids' contains {value}, which does not fit into the int32"):
        narrow(np.array([1, value]))
