"""From .onnx to .tflite by onnx2tf, in the environment that `edgekit tools install` made. Runs in the worker."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgekit.core.errors import ConversionFailed
from edgekit.core.refusals import refuse
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.environments import TOOLS, checked_program_of
from edgekit.core.system.optional import need
from edgekit.export.messages import Converted
from edgekit.export.onnx.nodes import rename
from edgekit.export.onnx.reader import OnnxFile
from edgekit.export.shapes.signatures import signatures_of
from edgekit.export.tflite.exporter import read_back

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto


# Ranks of tensors that have channels: sounds, images, volumes.
_CHANNELED: Final = (3, 4, 5)


class Onnx2tf:
    """Writes .tflite files of one size from .onnx files; inputs and outputs keep their layout and names."""

    def prepare(self) -> None:
        """Import LiteRT, which reads the file back; the converter is a separate program."""
        need("ai_edge_litert.interpreter", extra="tflite")

    def export(self, module: OnnxFile, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the float32 file.

        Raises:
            Refused: Several sizes are requested; this converter writes one signature per file.
        """
        del feed
        signatures = signatures_of(spec)
        if len(signatures) > 1:
            raise refuse("one-size-only", f"A TFLite file of {len(signatures)} sizes from '{module.path.name}'")
        with temporary_folder() as folder:
            fixed = Path(folder) / "model.onnx"
            need("onnx", extra="export").save(_fixed(module, spec, signatures[0].sizes), str(fixed))
            shutil.copyfile(_converted(fixed, spec, Path(folder)), out)
        options: dict[str, str | int | float | bool] = {"exporter": TOOLS["onnx2tf"].requirement}
        return msgspec.structs.replace(read_back(out, spec), options=options)


def _fixed(module: OnnxFile, spec: ModelSpec, sizes: dict[str, int]) -> ModelProto:
    """The model at one size: of free batches and lengths the converter makes wrong files without a word."""
    onnx = need("onnx", extra="export")
    model = module.model()
    shapes = {tensor.name: tensor.concrete(sizes) for tensor in spec.inputs}
    for value in model.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            dim.Clear()
            dim.dim_value = size
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model)
    slimmed: ModelProto = need("onnxslim", extra="export").slim(model)
    return _with_layout(slimmed)


def _with_layout(model: ModelProto) -> ModelProto:
    """The model whose outputs go through a Reshape to the shape that they have: the converter would give outputs of
    convolutions with the channels last."""
    onnx = need("onnx", extra="export")
    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    made = {name for node in graph.node for name in node.output}
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in graph.output}
    turned = {name: shape for name, shape in shapes.items() if name in made and len(shape) in _CHANNELED and all(shape)}
    rename(graph, {name: f"{name}_inner" for name in turned})
    for name, shape in turned.items():
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(shape), f"{name}_shape"))
        graph.node.append(onnx.helper.make_node("Reshape", [f"{name}_inner", f"{name}_shape"], [name]))
    return model


def _converted(source: Path, spec: ModelSpec, folder: Path) -> Path:
    made = folder / "made"
    names = [tensor.name for tensor in spec.inputs]
    command = [str(checked_program_of("onnx2tf")), "-i", str(source), "-o", str(made), "-n", "-kat", *names]
    # Its working folder is its own: it looks for calibration files there, and would fetch them.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
    files = sorted(made.glob("*_float32.tflite"))
    if not files:
        lines = [line.strip() for line in (found.stdout + found.stderr).splitlines() if "error" in line.lower()]
        reason = lines[-1][-300:] if lines else f"it exited with code {found.returncode}"
        raise ConversionFailed(f"onnx2tf did not write a file: {reason}.", hint="--to onnx-fp32,onnx-int8")
    return files[0]
