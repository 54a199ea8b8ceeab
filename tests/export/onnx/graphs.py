"""Small ONNX models for the tests of this folder, and what the engines make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Axes = Sequence[int | str]


def value(name: str, shape: Axes, kind: int = TensorProto.FLOAT) -> Any:
    """One input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Axes],
    outputs: Mapping[str, Axes],
    weights: Mapping[str, Any],
    **how: Any,
) -> Any:
    """A model of float inputs and outputs; `how` may contain `opset` and `ir`."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    borders = [[value(name, shape) for name, shape in some.items()] for some in (inputs, outputs)]
    graph = helper.make_graph(nodes, "graph", *borders, tensors)
    imports = [helper.make_opsetid("", how.get("opset", 18))]
    return helper.make_model(graph, opset_imports=imports, ir_version=how.get("ir", 8))


def saved(made: Any, folder: Path, name: str = "model.onnx") -> Path:
    """The path of the model, written to `folder`."""
    onnx.save(made, str(folder / name))
    return folder / name


def answer(made: Any, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first output by ONNX Runtime, of a model that the full checker accepts."""
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, dict(feed))[0]
    return found


def strict_answer(made: Any, feed: Mapping[str, np.ndarray]) -> np.ndarray:
    """The first output by the evaluator of the onnx package, which computes every node in its own type."""
    with np.errstate(all="ignore"):
        found: np.ndarray = ReferenceEvaluator(made).run(None, dict(feed))[0]
    return found
