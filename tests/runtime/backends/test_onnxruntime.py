"""ONNX Runtime: what edgekit adds to it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.runtime.backends.onnxruntime import OnnxRuntime

Rows = NDArray[np.float32]


def spec(*inputs: TensorSpec) -> ModelSpec:
    return ModelSpec("net", "classification", inputs)


def test_names_types_and_free_axes_are_read_from_the_file(data: Path) -> None:
    session = OnnxRuntime().open(data / "lookup.onnx", {})

    assert [str(tensor) for tensor in session.inputs] == ["ids:int64[N,T]"]
    assert [str(tensor) for tensor in session.outputs] == ["features:float32[N,T,2]"]
    assert session.provider == "cpu"


def test_the_spec_names_axes_and_gives_bounds(data: Path) -> None:
    known = TensorSpec("x", "float32", ("batch", 3), low=0.0, high=1.0, padding=0.5)

    session = OnnxRuntime().open(data / "linear.onnx", {}, spec(known))

    assert session.inputs == (known,)


def test_a_size_that_the_file_fixes_stays_fixed(data: Path) -> None:
    session = OnnxRuntime().open(data / "linear.onnx", {}, spec(TensorSpec("x", "float32", ("N", "F"))))

    assert session.inputs[0].shape == ("N", 3)


def test_sizes_of_one_axis_must_agree_although_the_engine_would_broadcast(data: Path) -> None:
    with OnnxRuntime().open(data / "two.onnx", {}) as session, pytest.raises(UserError) as caught:
        session.run({"a": np.ones((2, 3), np.float32), "b": np.ones((1, 3), np.float32)})

    assert "Axis N is 2 in 'a' and 1 in 'b'." in caught.value.message


def test_foreign_byte_order_is_refused_although_the_engine_would_compute_nonsense(data: Path, rows: Rows) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session, pytest.raises(UserError, match="byte order"):
        session.run({"x": rows.astype(">f4")})


def test_what_the_engine_cannot_compute_is_the_callers_error(data: Path) -> None:
    with OnnxRuntime().open(data / "lookup.onnx", {}) as session, pytest.raises(UserError) as caught:
        session.run({"ids": np.array([[7]])})

    assert "onnxruntime cannot run this feed" in caught.value.message
    assert "idx=7" in caught.value.message


def test_bound_arrays_are_read_anew_and_outputs_reused(data: Path, rows: Rows, expected: Rows) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        x = rows[:4].copy()
        call = session.bind({"x": x})
        first = call()["y"]
        np.testing.assert_array_equal(first, expected[:4])

        x[...] = rows[4:8]
        second = call()["y"]

        assert second is first
        np.testing.assert_array_equal(second, expected[4:8])


def test_a_bound_view_that_is_not_contiguous_is_read_anew(data: Path, rows: Rows, expected: Rows) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        wide = np.zeros((4, 6), np.float32)
        call = session.bind({"x": wide[:, ::2]})

        wide[:, ::2] = rows[:4]

        np.testing.assert_array_equal(call()["y"], expected[:4])


def test_bound_memory_lives_as_long_as_the_call(data: Path, rows: Rows, expected: Rows) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        feed = {"x": rows.copy()}
        call = session.bind(feed)
        feed["x"] = np.zeros_like(rows)
        gc.collect()
        overwritten = [np.full(rows.shape, 99, np.float32) for _ in range(100)]

        np.testing.assert_array_equal(call()["y"], expected)
        assert len(overwritten) == 100


def test_a_bound_call_that_fails_is_the_callers_error(data: Path) -> None:
    with OnnxRuntime().open(data / "lookup.onnx", {}) as session:
        ids = np.array([[1]])
        call = session.bind({"ids": ids})
        ids[...] = 7

        with pytest.raises(UserError, match="idx=7"):
            call()


def test_outputs_of_unknown_size_are_new_in_each_bound_call(data: Path) -> None:
    with OnnxRuntime().open(data / "nonzero.onnx", {}) as session:
        x = np.array([1, 0, 1], np.float32)
        call = session.bind({"x": x})
        assert call()["places"].tolist() == [[0, 2]]

        x[1] = 1

        assert call()["places"].tolist() == [[0, 1, 2]]


def test_an_empty_batch_runs(data: Path) -> None:
    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        feed = {"x": np.zeros((0, 3), np.float32)}

        assert session.run(feed)["y"].shape == (0, 2)
        assert session.bind(feed)()["y"].shape == (0, 2)


def test_one_session_runs_in_several_threads(data: Path, rows: Rows, expected: Rows) -> None:
    wrong: list[int] = []

    def work(place: int) -> None:
        for _ in range(200):
            if not np.array_equal(session.run({"x": rows[place : place + 1]})["y"], expected[place : place + 1]):
                wrong.append(place)

    with OnnxRuntime().open(data / "linear.onnx", {}) as session:
        threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert wrong == []


def test_options_reach_the_engine(data: Path) -> None:
    options = {"threads": "2", "graph": "basic", "spin": "0"}

    with OnnxRuntime().open(data / "linear.onnx", options) as session:
        settings = session._engine.get_session_options()

    assert settings.intra_op_num_threads == 2
    assert settings.inter_op_num_threads == 1
    assert settings.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("options", [{"graph": "most"}, {"spin": "yes"}, {"threads": "0"}, {"thread": "1"}])
def test_a_wrong_option_is_the_callers_error(data: Path, options: dict[str, str]) -> None:
    with pytest.raises(UserError):
        OnnxRuntime().open(data / "linear.onnx", options)


@pytest.mark.parametrize("keep", [0, 1, 60, 120])
def test_a_truncated_file_is_unreadable(data: Path, tmp_path: Path, keep: int) -> None:
    file = tmp_path / "cut.onnx"
    file.write_bytes((data / "linear.onnx").read_bytes()[:keep])

    with pytest.raises(ModelUnreadable, match=r"cut\.onnx"):
        OnnxRuntime().open(file, {})


def test_opening_a_model_loads_no_openssl() -> None:
    # hashlib brings OpenSSL along: 3.5 MB in every process that only wants to run a model.
    imports = "import sys, edgekit.runtime.backends.onnxruntime, edgekit.runtime.backends.litert"
    program = f"{imports}; sys.exit('hashlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_tensors_of_a_type_that_no_array_has_are_refused_by_name(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    numbers = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["N"]) for name in ("narrow", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["narrow"], ["same"])], "numbers", numbers[:1], numbers[1:])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "narrow.onnx")

    with pytest.raises(ModelUnreadable, match=r"'narrow' has the type tensor\(bfloat16\)"):
        OnnxRuntime().open(tmp_path / "narrow.onnx", {})


def test_text_is_given_as_arrays_without_objects(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    words = [helper.make_tensor_value_info(name, TensorProto.STRING, ["N"]) for name in ("text", "same")]
    graph = helper.make_graph([helper.make_node("Identity", ["text"], ["same"])], "words", words[:1], words[1:])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "words.onnx"
    )

    with OnnxRuntime().open(tmp_path / "words.onnx", {}) as session:
        feed = {"text": np.array(["one", "fifteen"])}
        again = session.bind(feed)
        answers = [session.run(feed)["same"], again()["same"]]

    assert [(array.dtype.kind, array.tolist()) for array in answers] == [("U", ["one", "fifteen"])] * 2


def test_a_refused_provider_leaves_no_profile_behind(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    with pytest.raises(ProviderRefused):
        OnnxRuntime().open(data / "linear.onnx", {"provider": "cuda"})

    assert list(tmp_path.iterdir()) == []
