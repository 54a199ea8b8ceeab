"""Models made to harm whoever opens or runs them: they crash the backend, never end, or take all memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from tests.runtime.data.make import Tflite

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
_value = helper.make_tensor_value_info
_DOMAIN = "harm"


def calls_itself(path: Path) -> Path:
    """A .tflite whose IF runs a graph that runs itself: LiteRT's stack overflows when it is opened."""
    tflite, both = Tflite(), schema.IfOptionsT()
    both.thenSubgraphIndex = both.elseSubgraphIndex = 1
    boolean = schema.TensorType.BOOL
    tensors: dict[str, Any] = {"c": (boolean, (1,)), "y": (boolean, (1,))}
    operator = (schema.BuiltinOperator.IF, ["c", "c"], ["y"], both)
    tflite.subgraph(tensors, [operator], ["c"], ["y"], "serving_default")
    tflite.subgraph(tensors, [operator], ["c"], ["y"])
    path.write_bytes(tflite.bytes())
    return path


def never_ends(path: Path) -> Path:
    """An .onnx whose Loop has a condition that stays true."""
    return _loop(path, helper.make_node("Identity", ["v"], ["vo"]), count="")


def doubles(path: Path) -> Path:
    """An .onnx whose Loop doubles its tensor 40 times: from 16 bytes to 16 TiB."""
    return _loop(path, helper.make_node("Concat", ["v", "v"], ["vo"], axis=0), count="count")


def never_opens(path: Path, levels: int = 34) -> Path:
    """An .onnx of functions, each of which calls the one below it twice: inlining gives 2 ** `levels` operators."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_DOMAIN, 1)]
    made = [helper.make_function(_DOMAIN, "F0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets)]
    for level in range(1, levels):
        below = f"F{level - 1}"
        calls = [helper.make_node(below, [a], [b], domain=_DOMAIN) for a, b in (("a", "t"), ("t", "b"))]
        made.append(helper.make_function(_DOMAIN, f"F{level}", ["a"], ["b"], calls, opsets))
    node = helper.make_node(f"F{levels - 1}", ["x"], ["y"], domain=_DOMAIN)
    graph = helper.make_graph([node], "net", [_value("x", FLOAT, ["N", 4])], [_value("y", FLOAT, ["N", 4])])
    return _saved(path, helper.make_model(graph, opset_imports=opsets, functions=made))


def _loop(path: Path, step: Any, count: str) -> Path:
    """A Loop that does `step` from `v` to `vo`, `count` times or for ever."""
    inside = [_value("i", INT64, []), _value("c", BOOL, []), _value("v", FLOAT, None)]
    outside = [_value("co", BOOL, []), _value("vo", FLOAT, None)]
    body = helper.make_graph([helper.make_node("Identity", ["c"], ["co"]), step], "body", inside, outside)
    constants = [numpy_helper.from_array(np.bool_(True), "on"), numpy_helper.from_array(np.int64(40), "count")]
    graph = helper.make_graph(
        [helper.make_node("Loop", [count, "on", "x"], ["y"], body=body)],
        "net",
        [_value("x", FLOAT, ["N", 4])],
        [_value("y", FLOAT, ["M", 4])],
        constants,
    )
    return _saved(path, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def _saved(path: Path, model: Any) -> Path:
    model.ir_version = 9
    onnx.save(model, str(path))
    return path
