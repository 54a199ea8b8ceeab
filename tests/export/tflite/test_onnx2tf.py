"""A .tflite made from an .onnx by the installed converter gives what its source gives, in the same layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.environments import is_installed
from edgekit.export.onnx.reader import OnnxFile
from edgekit.export.tflite.onnx2tf import Onnx2tf
from edgekit.runtime.backend import BACKENDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed("onnx2tf"), reason="needs: edgekit tools install onnx2tf"),
]


@pytest.mark.parametrize("channels", [3, 5])
def test_the_output_of_a_convolution_keeps_its_channels_first(channels: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    shapes = {"x": [1, 3, 8, 8], "y": [1, channels, 8, 8]}
    borders = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    weight = numpy_helper.from_array(rng.normal(size=(channels, 3, 3, 3)).astype("f4"), "w")
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv", pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "graph", borders[:1], borders[1:], [weight])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(made, str(tmp_path / "net.onnx"))
    tensors = [TensorSpec(name, "float32", tuple(shape)) for name, shape in shapes.items()]
    spec = ModelSpec("net", "other", (tensors[0],), (tensors[1],))
    feed = {"x": rng.normal(size=(1, 3, 8, 8)).astype("f4")}

    Onnx2tf().export(OnnxFile(tmp_path / "net.onnx"), spec, feed, tmp_path / "net.tflite")

    with BACKENDS.get("litert")().open(tmp_path / "net.tflite", {}, spec) as session:
        found = session.run(feed)["y"]
    expected = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feed)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
