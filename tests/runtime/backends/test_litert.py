"""LiteRT: signatures, splitting, padding and numbers that the file stores differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.backends.litert import LiteRT

Rows = NDArray[np.float32]
TABLE = np.arange(10, dtype=np.float32).reshape(5, 2)
FEATURES = TensorSpec("features", "float32", ("N", "T", 2))


def lookup(padding: float | None) -> ModelSpec:
    return ModelSpec("net", "tagging", (TensorSpec("ids", "int64", ("N", "T"), padding=padding),), (FEATURES,))


def ids(n: int, t: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 5, (n, t))


def test_free_axes_are_read_from_the_signatures(data: Path) -> None:
    session = LiteRT().open(data / "lookup.tflite", {})

    assert [str(tensor) for tensor in session.inputs] == ["ids:int32[ids.0,ids.1]"]
    assert [str(tensor) for tensor in session.outputs] == ["features:float32[ids.0,ids.1,2]"]


@pytest.mark.parametrize("batch", [1, 2, 4, 5, 12])
def test_any_batch_is_split_into_the_signatures_there_are(data: Path, rows: Rows, expected: Rows, batch: int) -> None:
    with LiteRT().open(data / "linear.tflite", {}) as session:
        outputs = session.run({"x": rows[:batch]})

    np.testing.assert_array_equal(outputs["y"], expected[:batch])


def test_several_inputs_and_outputs_are_split_and_joined(data: Path, rows: Rows) -> None:
    with LiteRT().open(data / "two.tflite", {}) as session:
        outputs = session.run({"a": rows[:5], "b": rows[5:10]})

    np.testing.assert_array_equal(outputs["sum"], rows[:5] + rows[5:10])
    np.testing.assert_array_equal(outputs["product"], rows[:5] * rows[5:10])


@pytest.mark.parametrize(("n", "t"), [(1, 4), (1, 3), (1, 7), (2, 8), (3, 6), (5, 1)])
def test_padding_is_cut_off_the_outputs_again(data: Path, n: int, t: int) -> None:
    with LiteRT().open(data / "lookup.tflite", {}, lookup(padding=0)) as session:
        features = session.run({"ids": ids(n, t)})["features"]

    np.testing.assert_array_equal(features, TABLE[ids(n, t)])


def test_without_a_padding_value_other_sizes_are_refused_with_those_there_are(data: Path) -> None:
    with LiteRT().open(data / "lookup.tflite", {}, lookup(padding=None)) as session, pytest.raises(UserError) as caught:
        session.run({"ids": ids(1, 5)})

    assert caught.value.message == ("This file has no signature for N=1, T=5; it has N=1, T=4; N=1, T=8; N=2, T=8.")
    assert caught.value.hint == "edgekit export SOURCE --sizes N=1 --sizes T=5"


def test_longer_than_every_signature_is_refused(data: Path) -> None:
    with LiteRT().open(data / "lookup.tflite", {}, lookup(padding=0)) as session, pytest.raises(UserError):
        session.run({"ids": ids(1, 9)})


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_int64_is_narrowed_to_what_the_file_stores(data: Path, dtype: type[np.signedinteger]) -> None:
    with LiteRT().open(data / "lookup.tflite", {}) as session:
        features = session.run({"ids": ids(1, 4).astype(dtype)})["features"]

    np.testing.assert_array_equal(features, TABLE[ids(1, 4)])


def test_int64_that_does_not_fit_is_refused_with_the_value(data: Path) -> None:
    with LiteRT().open(data / "lookup.tflite", {}) as session, pytest.raises(UserError, match="contains 4294967296"):
        session.run({"ids": np.full((1, 4), 2**32)})


def test_quantized_inputs_take_float32_and_the_stored_integers(data: Path) -> None:
    x = np.array([[1.0, -0.5, 2.0]], np.float32)
    steps = np.rint(x * 16 + 3).astype(np.int8)

    with LiteRT().open(data / "quantized.tflite", {}) as session:
        from_floats, from_steps = session.run({"x": x})["y"], session.run({"x": steps})["y"]

    assert str(session.inputs[0]) == "x:float32[1,3]"
    np.testing.assert_array_equal(from_floats, [[3.5, -2.25]])
    np.testing.assert_array_equal(from_steps, from_floats)
    assert from_steps.dtype == np.float32


def test_values_beyond_the_quantized_range_are_clipped(data: Path) -> None:
    with LiteRT().open(data / "quantized.tflite", {}) as session:
        beyond = session.run({"x": np.full((1, 3), 1e6, np.float32)})["y"]
        edge = session.run({"x": np.full((1, 3), (127 - 3) / 16, np.float32)})["y"]

    np.testing.assert_array_equal(beyond, edge)


def test_a_file_without_signatures_has_the_names_of_its_tensors(data: Path, rows: Rows, expected: Rows) -> None:
    with LiteRT().open(data / "bare.tflite", {}) as session:
        assert [str(tensor) for tensor in session.inputs] == ["x:float32[2,3]"]
        np.testing.assert_array_equal(session.run({"x": rows[:2]})["y"], expected[:2])


def test_a_spec_makes_the_batch_of_a_bare_file_free(data: Path, rows: Rows, expected: Rows) -> None:
    spec = ModelSpec("net", "regression", (TensorSpec("x", "float32", ("N", 3)),))

    with LiteRT().open(data / "bare.tflite", {}, spec) as session:
        np.testing.assert_array_equal(session.run({"x": rows[:6]})["y"], expected[:6])
        with pytest.raises(UserError, match=r"no signature for N=3; it has N=2\."):
            session.run({"x": rows[:3]})


def test_what_the_engine_cannot_compute_is_the_callers_error_each_time(data: Path) -> None:
    bad = {"ids": np.full((1, 4), 9, np.int32)}

    with LiteRT().open(data / "lookup.tflite", {}) as session:
        messages = set()
        for _ in range(3):
            with pytest.raises(UserError) as caught:
                session.run(bad)
            messages.add(caught.value.message)
        np.testing.assert_array_equal(session.run({"ids": ids(1, 4)})["features"], TABLE[ids(1, 4)])

    assert messages == {"litert cannot run this feed: gather index out of bounds"}


@pytest.mark.parametrize("file", ["linear.tflite", "lookup.tflite", "quantized.tflite"])
def test_bound_arrays_are_read_anew(data: Path, file: str) -> None:
    with LiteRT().open(data / file, {}) as session:
        tensor = session.inputs[0]
        shape = tuple(session.family.entries[0].inputs[0].shape)
        array = np.zeros(shape, tensor.dtype)
        call = session.bind({tensor.name: array})
        call()

        array += 1

        fresh = session.run({tensor.name: np.ones(shape, tensor.dtype)})
        np.testing.assert_array_equal(call()[session.outputs[0].name], fresh[session.outputs[0].name])


def test_a_bound_call_that_fails_is_the_callers_error(data: Path) -> None:
    with LiteRT().open(data / "lookup.tflite", {}) as session:
        array = ids(1, 4)
        call = session.bind({"ids": array})
        array[...] = 9

        with pytest.raises(UserError, match="gather index out of bounds"):
            call()


def test_a_bound_call_survives_runs_of_other_sizes(data: Path, rows: Rows, expected: Rows) -> None:
    with LiteRT().open(data / "linear.tflite", {}) as session:
        call = session.bind({"x": rows[:4]})
        session.run({"x": rows[5:6]})

        np.testing.assert_array_equal(call()["y"], expected[:4])


def test_foreign_byte_order_is_refused(data: Path, rows: Rows) -> None:
    with LiteRT().open(data / "linear.tflite", {}) as session:
        session.run({"x": rows[:1]})
        with pytest.raises(UserError, match="byte order"):
            session.run({"x": rows[:1].astype(">f4")})


@pytest.mark.parametrize("keep", [0, 7, 100, 900])
def test_a_truncated_file_is_unreadable(data: Path, tmp_path: Path, keep: int) -> None:
    file = tmp_path / "cut.tflite"
    file.write_bytes((data / "linear.tflite").read_bytes()[:keep])

    with pytest.raises(ModelUnreadable, match=r"cut\.tflite"):
        LiteRT().open(file, {})


def test_a_provider_it_does_not_have_is_refused(data: Path) -> None:
    with pytest.raises(ProviderRefused, match="only cpu, xnnpack"):
        LiteRT().open(data / "linear.tflite", {"provider": "cuda"})


def test_kernels_that_took_no_operator_are_refused_when_asked_for(data: Path) -> None:
    assert LiteRT().open(data / "linear.tflite", {"provider": "xnnpack"}).provider == "xnnpack"
    with pytest.raises(ProviderRefused, match="did not run the model"):
        LiteRT().open(data / "lookup.tflite", {"provider": "xnnpack"})
    assert LiteRT().open(data / "lookup.tflite", {}).provider == "cpu"


def test_opening_prints_nothing(data: Path, capfd: pytest.CaptureFixture[str]) -> None:
    LiteRT().open(data / "linear.tflite", {}).close()

    assert capfd.readouterr() == ("", "")
