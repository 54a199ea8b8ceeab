"""Two graphs are aligned by values and the flow of data, whatever layout and order they have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgekit.core.errors import ModelUnreadable
from edgekit.core.samples import Feed
from edgekit.export.bisecting.alignment import align, arrangements
from edgekit.export.bisecting.bisect import Bisected
from edgekit.export.checking.tolerance import TOLERANCES
from edgekit.export.graphs.trace import Trace, TracedTensor
from edgekit.export.onnx.tracer import first_refused, trace

RNG = np.random.default_rng(0)


def traced(name: str, value: np.ndarray, kind: str, *inputs: str) -> TracedTensor:
    return TracedTensor(name, kind, value, frozenset({kind}), inputs=inputs)


def net(*nodes: onnx.NodeProto, path: Path, weights: Mapping[str, np.ndarray] = {}, rows: int | str = "N") -> Path:
    """(N, 4) -> the last node's output, as a file."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [rows, 4])],
        [helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def feeds_of_rows() -> list[Feed]:
    """Four feeds of one row."""
    return [{"x": RNG.normal(size=(1, 4)).astype(np.float32)} for _ in range(4)]


def dense(source: str, weight: str, out: str) -> onnx.NodeProto:
    return helper.make_node("MatMul", [source, weight], [out])


def relu(source: str, out: str) -> onnx.NodeProto:
    return helper.make_node("Relu", [source], [out])


def test_a_tensor_is_found_in_another_layout() -> None:
    images = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)

    found = [value for value in arrangements(images.transpose(0, 2, 3, 1), images.shape) if (value == images).all()]

    assert len(found) == 1


def test_branches_in_another_order_are_aligned_by_value() -> None:
    x, left, right = (RNG.normal(size=(2, 1, 6)).astype(np.float32) for _ in range(3))
    inputs = traced("x", x, "input")
    total = traced("sum", left + right, "add", "left", "right")
    a = Trace((inputs, traced("left", left, "conv", "x"), traced("right", right, "conv", "x"), total), {"y": "sum"})
    b = Trace((inputs, traced("r", right, "conv", "x"), traced("l", left, "conv", "x"), total), {"y": "sum"})

    pairs = {pair.a.name: pair.b.name for pair in align(a, b)}

    assert pairs == {"x": "x", "left": "l", "right": "r", "sum": "sum"}


def test_the_first_wrong_tensor_is_named_and_what_inherits_its_error_is_not(tmp_path: Path) -> None:
    weights = {name: RNG.normal(size=(4, 4)).astype(np.float32) for name in ("net.one.weight", "net.two.weight")}
    nodes = [dense("x", "net.one.weight", "a"), relu("a", "b"), dense("b", "net.two.weight", "c"), relu("c", "d")]
    good = net(*nodes, path=tmp_path / "good.onnx", weights=weights)
    weights["net.two.weight"] = weights["net.two.weight"].T.copy()
    bad = net(*nodes, path=tmp_path / "bad.onnx", weights=weights)
    feeds = feeds_of_rows()

    found = Bisected(trace(good, feeds), trace(bad, feeds), TOLERANCES["fp32"])

    assert [one.a for one in found.aligned] == ["x", "a", "b", "c", "d"]
    assert [one.is_within for one in found.aligned] == [True, True, True, False, False]
    assert found.first == found.most == 3
    assert (found.aligned[3].module, found.aligned[3].weights) == ("net.two", ("net.two.weight",))


def test_a_small_rest_of_large_values_is_as_exact_as_those() -> None:
    large = RNG.normal(size=(2, 1, 6)).astype(np.float32)
    rest = np.full((2, 1, 6), 1e-6, np.float32) * large
    a = Trace((traced("x", large, "input"), traced("rest", rest, "sub", "x")), {"y": "rest"})
    b = Trace((traced("x", large, "input"), traced("rest", rest * np.float32(1.1), "sub", "x")), {"y": "rest"})

    found = Bisected(a, b, TOLERANCES["fp32"])

    assert found.first is None
    assert found.aligned[1].error == pytest.approx(0.1, rel=1e-3)


def test_a_layer_that_is_left_out_is_named(tmp_path: Path) -> None:
    weights = {name: RNG.normal(size=(4, 4)).astype(np.float32) for name in ("one", "two")}
    whole = [dense("x", "one", "a"), relu("a", "b"), dense("b", "two", "c")]
    part = [dense("x", "one", "a"), dense("a", "two", "c")]
    feeds = feeds_of_rows()
    a, b = (trace(net(*nodes, path=tmp_path / f"{len(nodes)}.onnx", weights=weights), feeds) for nodes in (whole, part))

    found = Bisected(a, b, TOLERANCES["fp32"])

    assert found.first is not None
    assert found.aligned[found.first].a == "c"
    assert found.missing == ("b",)


def test_the_operator_that_does_not_run_is_found_by_halving(tmp_path: Path) -> None:
    shape = helper.make_node("Reshape", ["c", "shape"], ["d"])
    nodes = [relu("x", "a"), relu("a", "b"), relu("b", "c"), shape, relu("d", "e")]
    path = net(*nodes, path=tmp_path / "frozen.onnx", weights={"shape": np.array([2, 4])})

    found = first_refused(path, {"x": np.zeros((5, 4), np.float32)}, "b")

    assert found is not None
    assert (found.tensor, found.operator, found.weights) == ("d", "Reshape", ("shape",))
    assert first_refused(path, {"x": np.zeros((2, 4), np.float32)}, "b") is None


def test_an_input_of_a_fixed_size_is_what_refuses(tmp_path: Path) -> None:
    path = net(relu("x", "y"), path=tmp_path / "fixed.onnx", rows=2)

    found = first_refused(path, {"x": np.zeros((5, 4), np.float32)}, "b")

    assert found is not None
    assert (found.tensor, found.operator) == ("x", "input")
    assert "fixed at 2" in found.reason


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"no model")

    with pytest.raises(ModelUnreadable, match=r"no\.onnx"):
        trace(tmp_path / "no.onnx", [])
