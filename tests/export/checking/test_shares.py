"""How much of a file is quantized is read from the file, and a file with little of it is no int8 file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgekit.core.bundle import Artifact, QuantizedShare
from edgekit.core.recipe import Recipe
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.shares import share_checks
from edgekit.export.onnx.quantizer import quantize
from edgekit.export.onnx.work import quantized_share

SPEC = ModelSpec("m", "other", (TensorSpec.parse("x:float32[N,8]"),), (TensorSpec.parse("y:float32[N,2]"),))
RNG = np.random.default_rng(0)
ARTIFACT = Artifact("onnx-int8-static-u8s8", "m.onnx", "onnx", "int8", 1, "0" * 64, "1" * 64, (), ())


def written(
    path: Path, nodes: list[onnx.NodeProto], weights: Mapping[str, tuple[int, ...]], x: list[object], y: list[object]
) -> Path:
    """A float32 file of these nodes, from `x` to `y`, with random weights."""
    tensors = [numpy_helper.from_array(RNG.normal(size=w).astype(np.float32), name) for name, w in weights.items()]
    borders = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in (("x", x), ("y", y))]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


def two_layers(path: Path) -> Path:
    """(N, 8) -> 48 multiplications -> (N, 6) -> 12 multiplications -> (N, 2)."""
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], "first"),
        helper.make_node("MatMul", ["h", "b"], ["y"], "second"),
    ]
    return written(path, nodes, {"a": (8, 6), "b": (6, 2)}, ["N", 8], ["N", 2])


@pytest.mark.parametrize(
    ("recipe", "kept", "work"),
    [
        ("onnx-int8-static-u8s8", [], 1.0),
        ("onnx-int8-static-u8s8", ["h"], 0.2),
        ("onnx-int8-dynamic", [], 1.0),
        ("onnx-int8-dynamic", ["y"], 0.8),
    ],
)
def test_the_work_of_what_stays_float_is_none_of_the_share(
    recipe: str, kept: list[str], work: float, tmp_path: Path
) -> None:
    source, out = two_layers(tmp_path / "float.onnx"), tmp_path / "int8.onnx"
    samples = Samples({"x": RNG.normal(size=(16, 8)).astype(np.float32)})
    quantize(source, SPEC, Recipe.parse(recipe), samples, out, keep_float=kept)

    found = quantized_share(out, SPEC)

    # Both layers have as many weights as multiplications.
    assert found.work == pytest.approx(work)
    assert found.weights == pytest.approx(work)


def test_products_of_two_activations_are_no_work_of_weights(tmp_path: Path) -> None:
    # Scores (N, N) of attention: 64 multiplications without weights, next to 48 with.
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"], "layer"),
        helper.make_node("Transpose", ["h"], ["t"], "turn"),
        helper.make_node("MatMul", ["h", "t"], ["y"], "scores"),
    ]
    source, out = written(tmp_path / "float.onnx", nodes, {"a": (8, 6)}, ["N", 8], ["N", "N"]), tmp_path / "int8.onnx"
    quantize(source, SPEC, Recipe.parse("onnx-int8-dynamic"), None, out)

    assert quantized_share(out, SPEC) == QuantizedShare(1.0, 1.0)


def test_a_float_file_has_none() -> None:
    data = Path(__file__).parents[2] / "runtime" / "data"
    source = next(data.glob("*.onnx"))

    assert quantized_share(source, SPEC).weights in (0.0, None)


@pytest.mark.parametrize(("kind", "gates", "work"), [("LSTM", 4, 1.0), ("GRU", 3, 0.0)])
def test_the_quantizer_of_onnx_runtime_has_lstms_but_no_grus(
    kind: str, gates: int, work: float, tmp_path: Path
) -> None:
    weights = {"w": (1, gates * 5, 8), "r": (1, gates * 5, 5)}
    nodes = [helper.make_node(kind, ["x", "w", "r"], ["steps"], kind, hidden_size=5)]
    nodes += [helper.make_node("Squeeze", ["steps", "one"], ["y"], "squeeze")]
    source = written(tmp_path / "float.onnx", nodes, weights, ["T", "N", 8], ["T", "N", 5])
    model = onnx.load(source)
    model.graph.initializer.append(numpy_helper.from_array(np.array([1]), "one"))
    onnx.save(model, source)
    spec = msgspec.structs.replace(SPEC, inputs=(TensorSpec.parse("x:float32[T,N,8]"),), sizes={"T": (4,), "N": (1,)})

    quantize_dynamic(source, tmp_path / "int8.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=[kind])

    assert quantized_share(tmp_path / "int8.onnx", spec).work == work


@pytest.mark.parametrize(
    ("share", "verdict", "output"),
    [
        (QuantizedShare(0.9, 0.6), Verdict.PASS, "work"),
        (QuantizedShare(0.9, 0.4), Verdict.FAIL, "work"),
        (QuantizedShare(0.9, None, reason="the shapes of 2 operators are not known"), Verdict.PASS, "weights"),
        (QuantizedShare(0.1, None, reason="no operator multiplies"), Verdict.FAIL, "weights"),
    ],
)
def test_half_of_the_work_makes_an_int8_file(share: QuantizedShare, verdict: Verdict, output: str) -> None:
    (check,) = share_checks(msgspec.structs.replace(ARTIFACT, quantized=share), "onnxruntime")

    assert (check.verdict, check.output, check.limit) == (verdict, output, 0.5)
    assert check.reason


def test_weights_alone_are_judged_by_the_weights() -> None:
    one = msgspec.structs.replace(ARTIFACT, recipe="onnx-int4-weights", precision="int4")

    (check,) = share_checks(msgspec.structs.replace(one, quantized=QuantizedShare(0.9, 0.0)), "onnxruntime")

    assert (check.verdict, check.output) == (Verdict.PASS, "weights")


def test_files_in_float_are_not_judged() -> None:
    assert share_checks(ARTIFACT, "onnxruntime") == ()


@pytest.mark.parametrize(
    ("recipe", "work", "named"),
    [("onnx-int8-dynamic", 0.1, True), ("onnx-int8-dynamic", 0.9, False), ("onnx-int8-static-u8s8", 0.1, False)],
)
def test_dynamic_int8_of_convolutions_names_the_recipes_that_have_them(recipe: str, work: float, named: bool) -> None:
    made = msgspec.structs.replace(ARTIFACT, recipe=recipe, quantized=QuantizedShare(weights=0.1, work=work))

    (check,) = share_checks(made, "here")

    assert ("onnx-int8-static has convolutions in int8" in check.reason) == named
