"""Tiny .tflite files as others make them: free axes, variables, several different signatures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from tests.runtime.data.make import FLOAT32, INT32, Tflite

OPERATORS = schema.BuiltinOperator
CHANNELS = 32


def resizable(path: Path) -> Path:
    """x (any, any, any, 2) -> y (any, 2), the mean of each image: what Keras and TensorFlow write, with sizes of 1."""
    tflite = Tflite()
    axes = tflite.constant(np.array([1, 2], np.int32))
    tensors = {"x": (FLOAT32, (1, 1, 1, 2)), "axes": (INT32, (2,), axes), "y": (FLOAT32, (1, 2))}
    options = schema.ReducerOptionsT()
    tflite.subgraph(tensors, [(OPERATORS.MEAN, ["x", "axes"], ["y"], options)], ["x"], ["y"], "serving_default")
    (graph,) = tflite.model.subgraphs
    graph.tensors[0].shapeSignature, graph.tensors[2].shapeSignature = [-1, -1, -1, 2], [-1, 2]
    path.write_bytes(tflite.bytes())
    return path


def recurrent(path: Path) -> Path:
    """x (1, 1, 1) -> y (1, 1, 1): the sum of all x so far, kept in a variable of the older kind."""
    tflite = Tflite()
    one, zero = tflite.constant(np.ones((1, 1), np.float32)), tflite.constant(np.zeros(1, np.float32))
    tensors = {
        "x": (FLOAT32, (1, 1, 1)),
        "w": (FLOAT32, (1, 1), one),
        "r": (FLOAT32, (1, 1), one),
        "b": (FLOAT32, (1,), zero),
        "state": (FLOAT32, (1, 1)),
        "y": (FLOAT32, (1, 1, 1)),
    }
    operator = (
        OPERATORS.UNIDIRECTIONAL_SEQUENCE_RNN, ["x", "w", "r", "b", "state"], ["y"], schema.SequenceRNNOptionsT()
    )  # fmt: skip
    tflite.subgraph(tensors, [operator], ["x"], ["y"], "serving_default")
    tflite.model.subgraphs[0].tensors[4].isVariable = True
    path.write_bytes(tflite.bytes())
    return path


def counting(path: Path) -> Path:
    """x (1) -> y (1): the sum of all x so far, kept in a variable of TensorFlow 2."""
    tflite = Tflite()
    resource = schema.TensorType.RESOURCE
    handle: Any = schema.VarHandleOptionsT()
    handle.container, handle.sharedName = "", "total"
    zero = tflite.constant(np.zeros(1, np.float32))
    tensors = {
        "x": (FLOAT32, (1,)),
        "handle": (resource, ()),
        "zero": (FLOAT32, (1,), zero),
        "before": (FLOAT32, (1,)),
        "y": (FLOAT32, (1,)),
    }
    operators = [
        (OPERATORS.VAR_HANDLE, [], ["handle"], handle),
        (OPERATORS.READ_VARIABLE, ["handle"], ["before"], schema.ReadVariableOptionsT()),
        (OPERATORS.ADD, ["before", "x"], ["y"], schema.AddOptionsT()),
        (OPERATORS.ASSIGN_VARIABLE, ["handle", "y"], [], schema.AssignVariableOptionsT()),
    ]
    begin: Any = schema.CallOnceOptionsT()
    begin.initSubgraphIndex = 1
    tflite.subgraph(tensors, [(OPERATORS.CALL_ONCE, [], [], begin), *operators], ["x"], ["y"], "serving_default")
    assign: Any = (OPERATORS.ASSIGN_VARIABLE, ["handle", "zero"], [], schema.AssignVariableOptionsT())
    names = {name: tensors[name] for name in ("handle", "zero")}
    tflite.subgraph(names, [(OPERATORS.VAR_HANDLE, [], ["handle"], handle), assign], [], [])
    path.write_bytes(tflite.bytes())
    return path


def two_signatures(path: Path) -> Path:
    """`encode`: x (1, 2) -> code (1, 2), the sum with itself; `decode`: code (1, 2), scale (1) -> x (1, 2)."""
    tflite = Tflite()
    add = (OPERATORS.ADD, ["x", "x"], ["code"], schema.AddOptionsT())
    tflite.subgraph({"x": (FLOAT32, (1, 2)), "code": (FLOAT32, (1, 2))}, [add], ["x"], ["code"], "encode")
    multiply = (OPERATORS.MUL, ["code", "scale"], ["x"], schema.MulOptionsT())
    tensors = {"code": (FLOAT32, (1, 2)), "scale": (FLOAT32, (1,)), "x": (FLOAT32, (1, 2))}
    tflite.subgraph(tensors, [multiply], ["code", "scale"], ["x"], "decode")
    path.write_bytes(tflite.bytes())
    return path


def convolutions(path: Path, count: int = 3, side: int = 64) -> Path:
    """x -> `count` convolutions of 3x3 called layer0, layer1, ..., each followed by a logistic function."""
    tflite = Tflite()
    shape = (FLOAT32, (1, side, side, CHANNELS))
    random = np.random.default_rng(0).normal(size=(CHANNELS, 3, 3, CHANNELS)).astype(np.float32)
    w, b = tflite.constant(random), tflite.constant(np.zeros(CHANNELS, np.float32))
    tensors: dict[str, Any] = {"w": (FLOAT32, random.shape, w), "b": (FLOAT32, (CHANNELS,), b), "x": shape}
    options: Any = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.SAME, 1, 1
    options.dilationWFactor = options.dilationHFactor = 1
    operators, last = [], "x"
    for number in range(count):
        layer, act = f"layer{number}", f"act{number}"
        tensors |= {layer: shape, act: shape}
        operators.append((OPERATORS.CONV_2D, [last, "w", "b"], [layer], options))
        operators.append((OPERATORS.LOGISTIC, [layer], [act], schema.AddOptionsT()))
        last = act
    tflite.subgraph(tensors, operators, ["x"], [last], "serving_default")
    path.write_bytes(tflite.bytes())
    return path
