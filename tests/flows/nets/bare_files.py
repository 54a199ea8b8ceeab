"""Files as they come from elsewhere, without a bundle: tiny .tflite classifiers of images with channels last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from tests.runtime.data.make import FLOAT32, FULLY_CONNECTED, INT8, Tflite, schema

SIDE = 4
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
