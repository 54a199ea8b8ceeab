"""Float16 files compute in float32 what float16 does not hold, whatever operators and branches a graph has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.samples import Feed
from edgekit.export.onnx.float16 import write_float16

from .graphs import answer, model, saved, strict_answer, value

RNG = np.random.default_rng(0)
# One rounding of float16 is 2^-11; a few follow each other.
TOLERANCE = 5e-3


def halved(made: Any, feed: Feed, folder: Path) -> Any:
    """The float16 model, which the strict evaluator and ONNX Runtime agree on with the float32 one."""
    expected = answer(made, feed)
    write_float16(saved(made, folder), folder / "half.onnx", [feed])
    half = onnx.load(str(folder / "half.onnx"))

    largest = np.abs(expected).max()
    np.testing.assert_allclose(strict_answer(half, feed), expected, atol=TOLERANCE * largest)
    np.testing.assert_allclose(answer(half, feed), expected, atol=TOLERANCE * largest)
    return half


def kinds(half: Any) -> dict[str, str]:
    """By name of a node's first output, the type it has, as far as shape inference tells."""
    graph = onnx.shape_inference.infer_shapes(half).graph
    values = (*graph.value_info, *graph.output)
    return {one.name: TensorProto.DataType.Name(one.type.tensor_type.elem_type) for one in values}


def test_squares_that_overflow_stay_float32_and_the_rest_is_float16(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "up"),
        helper.make_node("Mul", ["h", "h"], ["square"], "square"),
        helper.make_node("ReduceMean", ["square", "axes"], ["mean"], "mean"),
        helper.make_node("Sqrt", ["mean"], ["root"], "root"),
        helper.make_node("Div", ["h", "root"], ["normal"], "normal"),
        helper.make_node("MatMul", ["normal", "v"], ["y"], "out"),
    ]
    weights = {"w": RNG.normal(size=(8, 32)).astype("f4") * 300, "v": RNG.normal(size=(32, 4)).astype("f4")}
    made = model(nodes, {"x": ["N", 8]}, {"y": ["N", 4]}, {**weights, "axes": np.array([-1])})

    half = halved(made, {"x": RNG.normal(size=(16, 8)).astype("f4")}, tmp_path)

    found = kinds(half)
    assert {found[name] for name in ("square", "mean")} == {"FLOAT"}
    assert {found[name] for name in ("h", "normal")} == {"FLOAT16"}


def test_a_sum_over_a_large_image_stays_float32(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["r"], "r"), helper.make_node("GlobalAveragePool", ["r"], ["y"], "pool")]
    made = model(nodes, {"x": ["N", 3, 96, 96]}, {"y": ["N", 3, 1, 1]}, {})

    half = halved(made, {"x": RNG.random((2, 3, 96, 96), dtype="f4") + 20}, tmp_path)

    assert next(one for one in half.graph.node if one.op_type == "GlobalAveragePool").output[0] == "y"


def test_an_epsilon_that_becomes_zero_keeps_its_division(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "epsilon"], ["safe"], "safe"),
        helper.make_node("Div", ["x", "safe"], ["y"], "y"),
    ]
    made = model(nodes, {"x": ["N", 4]}, {"y": ["N", 4]}, {"epsilon": np.float32(1e-12)})
    rows = np.array([[0, 0, 1, 2], [0, 3, 4, 5]], "f4")

    halved(made, {"x": rows}, tmp_path)


def test_a_logarithm_of_small_scores_stays_finite(tmp_path: Path) -> None:
    nodes = [helper.make_node("Softmax", ["x"], ["p"], "p"), helper.make_node("Log", ["p"], ["y"], "y")]
    made = model(nodes, {"x": ["N", 4]}, {"y": ["N", 4]}, {})

    halved(made, {"x": np.array([[0, 20, 1, 2], [30, 3, 4, 5]], "f4")}, tmp_path)


def test_masks_of_the_lowest_float_stay_float32(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Where", ["mask", "zero", "lowest"], ["bias"], "bias"),
        helper.make_node("Add", ["x", "bias"], ["masked"], "masked"),
        helper.make_node("Softmax", ["masked"], ["y"], "y"),
    ]
    weights = {
        "mask": np.array([[True, False, True], [False, False, False]]),
        "zero": np.float32(0),
        "lowest": np.finfo(np.float32).min,
    }
    made = model(nodes, {"x": [2, 3]}, {"y": [2, 3]}, weights)

    halved(made, {"x": RNG.normal(size=(2, 3)).astype("f4")}, tmp_path)


def test_a_small_variation_around_a_large_mean_is_not_rounded_away(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "high"], ["h"], "h"),
        helper.make_node("LayerNormalization", ["h", "scale"], ["y"], "y"),
    ]
    made = model(nodes, {"x": ["N", 8]}, {"y": ["N", 8]}, {"high": np.float32(100), "scale": np.ones(8, "f4")})

    halved(made, {"x": RNG.normal(size=(4, 8)).astype("f4")}, tmp_path)


def test_a_cast_of_values_to_truth_stays_one(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "h"),
        helper.make_node("Relu", ["h"], ["r"], "r"),
        helper.make_node("Cast", ["r"], ["is_positive"], "to_bool", to=TensorProto.BOOL),
        helper.make_node("Not", ["is_positive"], ["is_zero"], "not"),
        helper.make_node("Where", ["is_zero", "h", "r"], ["y"], "where"),
    ]
    made = model(nodes, {"x": ["N", 8]}, {"y": ["N", 4]}, {"w": RNG.normal(size=(8, 4)).astype("f4")})

    half = halved(made, {"x": RNG.normal(size=(4, 8)).astype("f4")}, tmp_path)

    assert kinds(half)["is_positive"] == "BOOL"


@pytest.mark.parametrize("kind", ["If", "Loop"])
def test_branches_and_loops_read_what_is_around_them(kind: str, tmp_path: Path) -> None:
    """Bodies read a tensor and a weight of the graph around them, have weights of their own and share node names."""
    weights = {"w": RNG.normal(size=(4, 4)).astype("f4"), "yes": np.array(True), "three": np.array(3)}
    body = [helper.make_node("MatMul", ["h", "w"], ["p"], "same"), helper.make_node("Mul", ["p", "own"], ["q"], "mul")]
    own = [numpy_helper.from_array(np.float32(0.5), "own")]
    if kind == "If":
        then = helper.make_graph(body, "then", [], [value("q", ["N", 4])], own)
        other = helper.make_graph([helper.make_node("Neg", ["h"], ["n"])], "else", [], [value("n", ["N", 4])])
        inner = helper.make_node("If", ["yes"], ["c"], "if", then_branch=then, else_branch=other)
    else:
        step = [*body, helper.make_node("Add", ["q", "state"], ["next"]), helper.make_node("Identity", ["go"], ["on"])]
        inputs = [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("state", ["N", 4])]
        outputs = [value("on", [], TensorProto.BOOL), value("next", ["N", 4])]
        loop = helper.make_graph(step, "body", inputs, outputs, own)
        inner = helper.make_node("Loop", ["three", "yes", "h"], ["c"], "loop", body=loop)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"], "up"), inner, helper.make_node("Add", ["c", "h"], ["y"])]
    made = model(nodes, {"x": ["N", 4]}, {"y": ["N", 4]}, weights)

    half = halved(made, {"x": RNG.normal(size=(3, 4)).astype("f4")}, tmp_path)

    assert kinds(half)["h"] == "FLOAT16"


def test_one_tensor_read_twice_is_cast_once(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["h"], "h"),
        helper.make_node("Max", ["h", "h"], ["m"], "m"),
        helper.make_node("Transpose", ["h"], ["t"], "t"),
        helper.make_node("MatMul", ["m", "t"], ["y"], "y"),
    ]
    made = model(nodes, {"x": [3, 3]}, {"y": [3, 3]}, {})

    half = halved(made, {"x": RNG.normal(size=(3, 3)).astype("f4")}, tmp_path)

    assert sum(one.op_type == "Cast" and "h" in one.input for one in half.graph.node) == 1


def test_large_weights_are_stored_in_float16_even_where_float32_reads_them(tmp_path: Path) -> None:
    weights = {
        "w": RNG.normal(size=(1, 64, 16)).astype("f4") * 0.1,
        "r": RNG.normal(size=(1, 64, 16)).astype("f4") * 0.1,
    }
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], "lstm", hidden_size=16)]
    made = model(nodes, {"x": [5, 2, 16]}, {"y": [1, 2, 16]}, weights)

    half = halved(made, {"x": RNG.normal(size=(5, 2, 16)).astype("f4")}, tmp_path)

    assert {numpy_helper.to_array(one).dtype for one in half.graph.initializer} == {np.dtype("f2")}


def test_kept_nodes_are_named_with_the_reason(tmp_path: Path) -> None:
    nodes = [helper.make_node("Exp", ["x"], ["e"], "e"), helper.make_node("Log", ["e"], ["y"], "y")]
    made = model(nodes, {"x": [4]}, {"y": [4]}, {})

    feed = {"x": np.array([0, 1, 2, 20], "f4")}
    options, warnings = write_float16(saved(made, tmp_path), tmp_path / "half.onnx", [feed])

    assert options["float_nodes"] == "e,y"
    assert "'e' (Exp, 4.9e+08 inside)" in warnings[0]
