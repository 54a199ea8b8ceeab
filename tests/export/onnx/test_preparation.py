"""Graphs on which onnxruntime's quantizer fails are prepared for it, and give the same values afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.processor import SATURATES

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.messages import Converted
from edgekit.export.onnx.preparation import prepare, repaired
from edgekit.export.onnx.quantizer import OnnxQuantizer

from .graphs import answer, model, saved, value

# 7 bits do not saturate on processors without VNNI.
STATIC, DYNAMIC = "onnx-int8-static-u8s7", "onnx-int8-dynamic-u8s7"


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def quantized(made: Any, recipe: str, folder: Path, shape: Sequence[int]) -> tuple[Any, Converted, float]:
    """The int8 model, what was said of it, and how far it is from the float one, in dB."""
    samples = Samples({"x": rng().normal(size=(32, *shape)).astype("f4")})
    names = [[value.name for value in some] for some in (made.graph.input, made.graph.output)]
    sizes = [dim.dim_value for dim in made.graph.output[0].type.tensor_type.shape.dim][1:]
    spec = ModelSpec(
        "net",
        "other",
        (TensorSpec(names[0][0], "float32", ("N", *shape)),),
        (TensorSpec(names[1][0], "float32", ("N", *sizes)),),
        sizes={"N": (1,)},
    )
    out = folder / "int8.onnx"
    said = OnnxQuantizer().quantize(saved(made, folder), spec, Recipe.parse(recipe), samples, out)
    int8 = onnx.load(str(out))
    expected, found = answer(made, samples.inputs), answer(int8, samples.inputs)
    return int8, said, float(10 * np.log10(np.square(expected).mean() / np.square(found - expected).mean()))


@pytest.mark.parametrize("recipe", [STATIC, DYNAMIC])
@pytest.mark.parametrize("reader", ["Gemm", "Gather"])
def test_a_weight_that_two_layers_share_is_quantized_once(recipe: str, reader: str, tmp_path: Path) -> None:
    weight = rng().normal(size=(32, 32)).astype("f4") / 4
    first = {
        "Gemm": helper.make_node("Gemm", ["x", "w"], ["h"], "first", transB=1),
        "Gather": helper.make_node("Add", ["x", "row"], ["h"], "first"),
    }[reader]
    nodes = [
        first,
        helper.make_node("Relu", ["h"], ["r"], "r"),
        helper.make_node("Gemm", ["r", "w"], ["y"], "y", transB=1),
    ]
    if reader == "Gather":
        nodes.insert(0, helper.make_node("Gather", ["w", "third"], ["row"], "row"))
    made = model(nodes, {"x": ["N", 32]}, {"y": ["N", 32]}, {"w": weight, "third": np.array(3)})

    int8, _, noise_db = quantized(made, recipe, tmp_path, (32,))

    # Shared weights had 1.3 dB; the recipes ask for 20.
    assert noise_db > 25
    if reader == "Gemm":
        weights = [one for one in int8.graph.initializer if list(one.dims) == [32, 32]]
        assert [one.data_type for one in weights] == [TensorProto.INT8]


@pytest.mark.parametrize("recipe", ["onnx-int8-dynamic", DYNAMIC])
def test_one_large_weight_does_not_set_the_scale_of_a_recurrent_layer(recipe: str, tmp_path: Path) -> None:
    """A speaker encoder with such a weight, 44 deviations large, had 17 dB."""
    random = rng()
    weights = {name: random.normal(size=(1, 64, 16)).astype("f4") * 0.3 for name in ("w", "r")}
    weights["w"][0, 3, 5] = 30
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], "t", perm=[1, 0, 2]),
        helper.make_node("LSTM", ["t", "w", "r"], ["", "h"], "lstm", hidden_size=16),
        helper.make_node("Squeeze", ["h", "first"], ["y"], "y"),
    ]
    made = model(nodes, {"x": ["N", 6, 16]}, {"y": ["N", 16]}, {**weights, "first": np.array([0])})

    _, _, noise_db = quantized(made, recipe, tmp_path, (6, 16))

    # Sums that saturate cost 4 dB.
    assert noise_db > (20 if SATURATES else 25)


def test_a_grouped_deconvolution_with_a_bias_becomes_int8(tmp_path: Path) -> None:
    weights = {"w": rng().normal(size=(8, 2, 3, 3)).astype("f4"), "b": rng().normal(size=8).astype("f4")}
    nodes = [helper.make_node("ConvTranspose", ["x", "w", "b"], ["y"], "up", group=4)]
    made = model(nodes, {"x": ["N", 8, 4, 4]}, {"y": ["N", 8, 6, 6]}, weights)

    int8, _, noise_db = quantized(made, STATIC, tmp_path, (8, 4, 4))

    assert noise_db > 25
    assert [one.data_type for one in int8.graph.initializer if list(one.dims) == [8, 2, 3, 3]] == [TensorProto.INT8]


def test_a_normalization_over_several_axes_stays_float_and_says_so(tmp_path: Path) -> None:
    weights = {
        "s": rng().normal(size=(4, 5)).astype("f4"),
        "b": rng().normal(size=(4, 5)).astype("f4"),
        "w": rng().normal(size=(5, 6)).astype("f4"),
    }
    nodes = [
        helper.make_node("LayerNormalization", ["x", "s", "b"], ["n"], "norm", axis=1),
        helper.make_node("MatMul", ["n", "w"], ["y"], "y"),
    ]
    made = model(nodes, {"x": ["N", 4, 5]}, {"y": ["N", 4, 6]}, weights)

    _, said, noise_db = quantized(made, STATIC, tmp_path, (4, 5))

    assert noise_db > 25
    assert said.warnings == ("'n' (LayerNormalization over several axes) stays float32",)


def test_a_branch_follows_what_it_reads(tmp_path: Path) -> None:
    """The quantizer's own sorting puts the branch first."""
    branches = [
        helper.make_graph([helper.make_node(kind, ["h"], [name])], name, [], [value(name, ["N", 8])])
        for kind, name in (("Relu", "then"), ("Neg", "else"))
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "h"),
        helper.make_node("If", ["yes"], ["y"], "if", then_branch=branches[0], else_branch=branches[1]),
    ]
    weights = {"w": rng().normal(size=(8, 8)).astype("f4"), "yes": np.array(True)}
    made = model(nodes, {"x": ["N", 8]}, {"y": ["N", 8]}, weights)

    _, _, noise_db = quantized(made, STATIC, tmp_path, (8,))

    assert noise_db > 25


@pytest.mark.parametrize("opset", [7, 9, 11, 12])
def test_old_opsets_become_int8_with_a_scale_per_channel(opset: int, tmp_path: Path) -> None:
    weights = {"w": rng().normal(size=(8, 3, 3, 3)).astype("f4"), "v": rng().normal(size=(8, 4)).astype("f4")}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv"),
        helper.make_node("GlobalAveragePool", ["c"], ["g"], "pool"),
        helper.make_node("Flatten", ["g"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "v"], ["y"], "y"),
    ]
    made = model(nodes, {"x": ["N", 3, 6, 6]}, {"y": ["N", 4]}, weights, opset=opset, ir=4)

    int8, _, noise_db = quantized(made, STATIC, tmp_path, (3, 6, 6))

    assert noise_db > 20
    assert any(list(one.dims) == [8] for one in int8.graph.initializer if one.name.startswith("w_"))


def test_nodes_are_put_after_what_their_branches_read() -> None:
    branch = helper.make_graph([helper.make_node("Neg", ["h"], ["b"])], "b", [], [value("b", ["N", 8])])
    nodes = [
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
        helper.make_node("Relu", ["x"], ["h"]),
    ]
    made = repaired(model(nodes, {"x": ["N", 8]}, {"y": ["N", 8]}, {"yes": np.array(True)}))

    assert [one.op_type for one in made.graph.node] == ["Relu", "If"]


def test_equal_weights_are_stored_once_and_equal_biases_twice() -> None:
    weights = {name: np.ones(shape, "f4") for name, shape in (("v", (8, 8)), ("w", (8, 8)), ("a", (8,)), ("b", (8,)))}
    nodes = [helper.make_node("Gemm", ["x", "v", "a"], ["h"]), helper.make_node("Gemm", ["h", "w", "b"], ["y"])]

    made = repaired(model(nodes, {"x": ["N", 8]}, {"y": ["N", 8]}, weights))

    assert [one.name for one in made.graph.initializer] == ["v", "a", "b"]
    assert numpy_helper.to_array(made.graph.initializer[0]).shape == (8, 8)


def test_a_graph_whose_shapes_cannot_be_followed_leaves_nothing_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [
        helper.make_node("Inverse", ["x"], ["inverse"], domain="com.microsoft"),
        helper.make_node("Add", ["inverse", "inverse"], ["y"]),
    ]
    made = model(nodes, {"x": (2, 3, 3)}, {"y": (2, 3, 3)}, {})
    made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    source = saved(made, tmp_path)

    followed = prepare(source, tmp_path / "prepared.onnx")

    assert not followed
    assert list(here.iterdir()) == []
