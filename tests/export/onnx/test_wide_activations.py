"""Activations in 16 bits next to weights in int8, for operators that 8 bits cost too much."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.recipe import Recipe
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.onnx.quantizer import OnnxQuantizer
from edgekit.export.onnx.work import quantized_share

SPEC = ModelSpec("m", "other", (TensorSpec.parse("x:float32[N,4]"),), (TensorSpec.parse("y:float32[N,3]"),))
RNG = np.random.default_rng(0)


def loud(path: Path) -> Path:
    """(N, 4) -> (N, 3): a layer whose first channel is 2000 times the others, which go on alone."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["all"], "layer"),
        helper.make_node("Slice", ["all", "start", "end", "axis"], ["part"], "part"),
        helper.make_node("Sigmoid", ["part"], ["y"], "score"),
    ]
    weight = RNG.normal(size=(4, 4)).astype(np.float32) * np.array([2000, 1, 1, 1], np.float32)
    arrays = {"w": weight, "start": np.array([1]), "end": np.array([4]), "axis": np.array([1])}
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    borders = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", size]) for n, size in (("x", 4), ("y", 3))]
    graph = helper.make_graph(nodes, "graph", borders[:1], borders[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.parametrize("variant", ["u8s8", "s8s8"])
def test_a_channel_next_to_a_loud_one_survives_in_16_bits(variant: str, tmp_path: Path) -> None:
    source, recipe = loud(tmp_path / "float.onnx"), Recipe.parse(f"onnx-int8-static-{variant}")
    samples = Samples({"x": RNG.normal(size=(64, 4)).astype(np.float32)})
    exact = ort.InferenceSession(str(source)).run(None, samples.inputs)[0]
    errors = {}

    for wide in ((), ("all", "part")):
        out = tmp_path / f"{len(wide)}.onnx"
        made = OnnxQuantizer().quantize(source, SPEC, recipe, samples, out, wide=wide)
        assert ("16-bit activations need opset 21, the float file has opset 18" in made.warnings) is bool(wide)
        errors[wide] = np.abs(ort.InferenceSession(str(out)).run(None, samples.inputs)[0] - exact).max()

    # Values up to 7,000 in 255 steps leave nothing of those around 1; in 65,535 steps each is 0.2.
    assert errors[()] > 0.3
    assert errors["all", "part"] < 0.1
    share = quantized_share(tmp_path / "2.onnx", SPEC)
    assert (share.work, share.wide, share.weights) == (1.0, 1.0, 1.0)
