"""The plain way: what one writes by hand in twenty lines per format, with the converters' own defaults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

RECIPES = ("onnx-fp32", "onnx-fp16", "onnx-int8", "tflite-fp32", "tflite-int8")


def steps(module: Any, feeds: dict[str, np.ndarray], folder: Path, mode: str) -> dict[str, Callable[[], None]]:
    """What makes each file of a network; later ones start from the float file of their format."""
    return {
        "onnx-fp32": lambda: onnx_float(module, feeds, folder),
        "onnx-fp16": lambda: onnx_half(folder),
        "onnx-int8": lambda: onnx_int8(feeds, folder, mode),
        "tflite-fp32": lambda: tflite_float(module, feeds, folder),
        "tflite-int8": lambda: tflite_int8(feeds, folder, mode),
    }


def file_of(folder: Path, recipe: str) -> Path:
    """Where the plain way writes a recipe."""
    return folder / f"plain-{recipe}.{recipe.partition('-')[0]}"


def onnx_float(module: Any, feeds: dict[str, np.ndarray], folder: Path) -> None:
    """torch.onnx.export with a dynamic batch, or with a fixed one where the exporter refuses that."""
    import torch

    batch = torch.export.Dim("N")
    two = {name: torch.from_numpy(array[:2].copy()) for name, array in feeds.items()}
    one = {name: torch.from_numpy(array[:1].copy()) for name, array in feeds.items()}
    options = {"dynamo": True, "opset_version": 18, "external_data": False, "verbose": False}
    target = str(file_of(folder, "onnx-fp32"))
    with torch.no_grad():
        try:
            shapes = {name: {0: batch} for name in two}
            torch.onnx.export(module, (), target, kwargs=two, dynamic_shapes=shapes, **options)
        except Exception:  # noqa: BLE001  # whatever the exporter raises, one goes on without the dynamic batch
            torch.onnx.export(module, (), target, kwargs=one, **options)


def onnx_half(folder: Path) -> None:
    """The converter of onnxruntime, with float32 inputs and outputs."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(str(file_of(folder, "onnx-fp32"))), keep_io_types=True)
    onnx.save(model, str(file_of(folder, "onnx-fp16")))


def onnx_int8(feeds: dict[str, np.ndarray], folder: Path, mode: str) -> None:
    """quantize_static calibrated on the first half of the samples, or quantize_dynamic."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    source, target = file_of(folder, "onnx-fp32"), file_of(folder, "onnx-int8")
    ready = folder / "plain-prepared.onnx"
    quant_pre_process(str(source), str(ready))
    if mode == "dynamic":
        quantization.quantize_dynamic(str(ready), str(target))
        return

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not followed
        def __init__(self) -> None:
            self.rows = iter(range(8))

        def get_next(self) -> dict[str, np.ndarray] | None:
            place = next(self.rows, None)
            return None if place is None else {name: array[place : place + 1] for name, array in feeds.items()}

    quantization.quantize_static(str(ready), str(target), Reader(), per_channel=True)


def tflite_float(module: Any, feeds: dict[str, np.ndarray], folder: Path) -> None:
    """litert_torch.convert at batch 1."""
    import litert_torch
    import torch

    one = {name: torch.from_numpy(array[:1].copy()) for name, array in feeds.items()}
    torch.backends.mha.set_fastpath_enabled(False)
    litert_torch.convert(module, sample_kwargs=one).export(str(file_of(folder, "tflite-fp32")))


def tflite_int8(feeds: dict[str, np.ndarray], folder: Path, mode: str) -> None:
    """The recipes of ai-edge-quantizer: static with calibration on the first half of the samples, or dynamic."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    source = str(file_of(folder, "tflite-fp32"))
    quantize = quantizer.Quantizer(source)
    ranges = None
    if mode == "static":
        quantize.load_quantization_recipe(recipe.static_wi8_ai8())
        details = Interpreter(model_path=source).get_signature_runner("serving_default").get_input_details()
        rows = [
            {name: feeds[name][place : place + 1].astype(one["dtype"]) for name, one in details.items()}
            for place in range(8)
        ]
        ranges = quantize.calibrate({"serving_default": rows})
    else:
        quantize.load_quantization_recipe(recipe.dynamic_wi8_afp32())
    quantize.quantize(ranges).export_model(str(file_of(folder, "tflite-int8")), overwrite=True)
