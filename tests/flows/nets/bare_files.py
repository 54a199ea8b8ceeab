"""Files as they come from elsewhere, without a bundle: tiny classifiers, detectors and segmenters of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from onnx import helper
from tests.runtime.data.make import FLOAT, FLOAT32, FULLY_CONNECTED, INT8, Tflite, onnx_model

OPERATORS = schema.BuiltinOperator
SIDE, CELL = 4, 16
# Dark or light, of an image of 0 to 1; the mean decides.
WEIGHTS = np.stack([np.full(SIDE * SIDE, -1.0), np.full(SIDE * SIDE, 1.0)]).astype(np.float32)
OFFSET = np.array([8.0, -8.0], np.float32)


def float_tflite(path: Path) -> Path:
    """image (1, 4, 4, 1) -> logits (1, 2)."""
    tflite = Tflite()
    w, b = tflite.constant(WEIGHTS), tflite.constant(OFFSET)
    tensors = {
        "image": (FLOAT32, (1, SIDE, SIDE, 1)),
        "w": (FLOAT32, WEIGHTS.shape, w),
        "b": (FLOAT32, (2,), b),
        "logits": (FLOAT32, (1, 2)),
    }
    return _written(tflite, tensors, path)


def int8_tflite(path: Path) -> Path:
    """The same with int8 inside and out: the image in steps of 1/255, the logits in steps of 1/8."""
    tflite = Tflite()
    w = tflite.constant(np.rint(WEIGHTS * 64).astype(np.int8))
    b = tflite.constant(np.rint(OFFSET * 64 * 255).astype(np.int32))
    tensors = {
        "image": (INT8, (1, SIDE, SIDE, 1), 0, (1 / 255, -128)),
        "w": (INT8, WEIGHTS.shape, w, (1 / 64, 0)),
        "b": (schema.TensorType.INT32, (2,), b, (1 / (64 * 255), 0)),
        "logits": (INT8, (1, 2), 0, (1 / 8, 0)),
    }
    return _written(tflite, tensors, path)


def _written(tflite: Tflite, tensors: dict[str, Any], path: Path) -> Path:
    operator = (FULLY_CONNECTED, ["image", "w", "b"], ["logits"], schema.FullyConnectedOptionsT())
    tflite.subgraph(tensors, [operator], ["image"], ["logits"], "serving_default")
    path.write_bytes(tflite.bytes())
    return path


def squares_onnx(
    path: Path,
    how: str = "cxcywh",
    unit: str = "pixels",
    *,
    first: bool = True,
    extra: str = "",
    sides: tuple[int | str, int | str] = (64, 64),
) -> Path:
    """Squares of red, green or blue in an image (1, 3, 64, 64), as anchor-free heads write them, in one output.

    Args:
        how: Each box as `xyxy`, `yxyx` or `cxcywh`, in `pixels` or as a `share` of the side.
        first: Boxes and scores on the second axis, (1, 7, 16); otherwise on the third.
        extra: `objectness` has a score of any object before the others, `background` one of none.
        sides: Height and width of the image as the file declares them.
    """
    boxes = _boxes(how, unit)
    weights = (32 * np.eye(3) - 16).astype(np.float32)[..., None, None]
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("Conv", ["pooled", "w", "b"], ["logits"]),
        helper.make_node("Reshape", ["logits", "shape"], ["flat"]),
        *_scores(extra),
        helper.make_node("Concat", ["boxes", "scores"], ["joined"], axis=1),
        helper.make_node("Transpose", ["joined"], ["output"], perm=[0, 1, 2] if first else [0, 2, 1]),
    ]
    constants = [("w", weights), ("b", np.full(3, -8, np.float32)), ("shape", np.array([1, 3, 16])), ("boxes", boxes)]
    constants.append(("one", np.ones((1, 1, 16), np.float32)))
    shape = [1, 7 + bool(extra), 16] if first else [1, 16, 7 + bool(extra)]
    path.write_bytes(onnx_model(nodes, [("image", FLOAT, [1, 3, *sides])], [("output", FLOAT, shape)], constants))
    return path


def _scores(extra: str) -> list[Any]:
    if extra == "background":
        return [
            helper.make_node("Concat", ["one", "flat"], ["all"], axis=1),
            helper.make_node("Softmax", ["all"], ["scores"], axis=1),
        ]
    nodes = [helper.make_node("Sigmoid", ["flat"], ["own" if extra else "scores"])]
    return nodes + [helper.make_node("Concat", ["one", "own"], ["scores"], axis=1)] * bool(extra)


def _boxes(how: str, unit: str) -> np.ndarray[Any, Any]:
    """The cells of 16 pixels, (1, 4, 16)."""
    places = np.arange(4) * CELL
    y, x = (one.reshape(-1) for one in np.meshgrid(places, places, indexing="ij"))
    sides: dict[str, list[Any]] = {
        "xyxy": [x, y, x + CELL, y + CELL],
        "yxyx": [y, x, y + CELL, x + CELL],
        "cxcywh": [x + CELL / 2, y + CELL / 2, x * 0 + CELL, y * 0 + CELL],
    }
    boxes: np.ndarray[Any, Any] = np.stack(sides[how])[None].astype(np.float32)
    return boxes / 64 if unit == "share" else boxes


def squares_tflite(path: Path) -> Path:
    """The same with channels last: image (1, 64, 64, 3) -> output (1, 16, 7), boxes as cxcywh in shares."""
    tflite = Tflite()
    weights, boxes = (32 * np.eye(3) - 16).astype(np.float32), _boxes("cxcywh", "share").transpose(0, 2, 1)
    tensors = {
        "image": (FLOAT32, (1, 64, 64, 3)),
        "pooled": (FLOAT32, (1, 4, 4, 3)),
        "w": (FLOAT32, (3, 3), tflite.constant(weights)),
        "b": (FLOAT32, (3,), tflite.constant(np.full(3, -8, np.float32))),
        "logits": (FLOAT32, (16, 3)),
        "own": (FLOAT32, (16, 3)),
        "shape": (schema.TensorType.INT32, (3,), tflite.constant(np.array([1, 16, 3], np.int32))),
        "scores": (FLOAT32, (1, 16, 3)),
        "boxes": (FLOAT32, (1, 16, 4), tflite.constant(np.ascontiguousarray(boxes))),
        "output": (FLOAT32, (1, 16, 7)),
    }
    pool: Any = schema.Pool2DOptionsT()
    pool.padding, pool.filterWidth, pool.filterHeight, pool.strideW, pool.strideH = schema.Padding.VALID, *[CELL] * 4
    join: Any = schema.ConcatenationOptionsT()
    join.axis = 2
    operators = [
        (OPERATORS.AVERAGE_POOL_2D, ["image"], ["pooled"], pool),
        (FULLY_CONNECTED, ["pooled", "w", "b"], ["logits"], schema.FullyConnectedOptionsT()),
        (OPERATORS.LOGISTIC, ["logits"], ["own"], schema.AddOptionsT()),
        (OPERATORS.RESHAPE, ["own", "shape"], ["scores"], schema.ReshapeOptionsT()),
        (OPERATORS.CONCATENATION, ["boxes", "scores"], ["output"], join),
    ]
    tflite.subgraph(tensors, operators, ["image"], ["output"], "serving_default")
    path.write_bytes(tflite.bytes())
    return path


def regions_onnx(path: Path, *, last: bool = False) -> Path:
    """Ground, red, green or blue at each second pixel of an image (1, 3, 64, 64): scores (1, 4, 32, 32)."""
    weights = np.zeros((4, 3, 1, 1), np.float32)
    weights[1:, :, 0, 0] = 2 * np.eye(3) - 1
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["pooled", "w", "b"], ["first"]),
        helper.make_node("Transpose", ["first"], ["scores"], perm=[0, 2, 3, 1] if last else [0, 1, 2, 3]),
    ]
    constants = [("w", weights), ("b", np.array([0.2, 0, 0, 0], np.float32))]
    shape = [1, 32, 32, 4] if last else [1, 4, 32, 32]
    path.write_bytes(onnx_model(nodes, [("image", FLOAT, [1, 3, 64, 64])], [("scores", FLOAT, shape)], constants))
    return path
