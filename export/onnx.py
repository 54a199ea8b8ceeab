"""The ONNX exporter: torch.onnx with onnxslim, read back and checked. Runs in the worker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgekit.core.errors import ConversionFailed
from edgekit.core.need import need
from edgekit.core.recipe import Recipe
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec import ModelSpec, TensorSpec
from edgekit.export.jobs import Converted
from edgekit.export.tracing import call, call_arguments, flatten, tensors

# 18 runs everywhere: older runtimes read it, newer exporters write it without down-conversion.
OPSET: Final = 18
_DTYPES: Final = {
    "FLOAT": "float32",
    "FLOAT16": "float16",
    "DOUBLE": "float64",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


class OnnxExporter:
    """Writes .onnx files of opset 18 with every free axis free."""

    def prepare(self) -> None:
        """Import the converter."""
        need("torch.onnx", extra="export")
        need("onnxscript", extra="export")
        need("onnxslim", extra="export")

    def export(self, module: Any, spec: ModelSpec, feed: Feed, out: Path) -> Converted:
        """Write the float32 file; falls back to the older exporter, and says so."""
        warnings: tuple[str, ...] = ()
        exporter = "dynamo"
        program = trace(module, spec, feed)
        try:
            _export_program(program, spec, out)
        except Exception as err:  # noqa: BLE001  # the exporter raises whatever its passes raise
            exporter, reason = "legacy", str(err).strip().splitlines()[0]
            _export_legacy(module, spec, feed, out)
            warnings = (f"torch.onnx failed ({type(err).__name__}: {reason}); the older exporter made this file",)
        slim(out, spec)
        made = read_back(out, spec)
        options: dict[str, str | int | float | bool] = {"exporter": exporter, "opset": OPSET, "simplifier": "onnxslim"}
        return _replace(made, options, warnings)

    def quantize(
        self, source: Path, spec: ModelSpec, recipe: Recipe, calibration: Samples | None, out: Path
    ) -> Converted:
        """Write the file of `recipe` from the float32 file."""
        from edgekit.export.quantize_onnx import quantize

        options, warnings = quantize(source, spec, recipe, calibration, out)
        return _replace(read_back(out, spec), options, warnings)


def _replace(made: Converted, options: dict[str, str | int | float | bool], warnings: tuple[str, ...]) -> Converted:
    import msgspec

    return msgspec.structs.replace(made, options=options, warnings=warnings)


def positional(module: Any, spec: ModelSpec) -> Any:
    """The module behind a wrapper that takes the inputs by position, in the spec's order, and gives a flat tuple."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)

    class Positional(torch.nn.Module):  # type: ignore[misc,name-defined]  # torch is no dependency of the type check
        """Inputs in the spec's order."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *feed: Any) -> Any:
            return tuple(flatten(call(self.module, arguments, feed)).values())

    return Positional().eval()


def trace(module: Any, spec: ModelSpec, feed: Feed) -> Any:
    """The module as a torch program with its free axes free.

    Raises:
        UserError: Control flow that depends on data, or an axis that the module fixes; names the line.
    """
    torch = need("torch", extra="export")
    free = {axis: torch.export.Dim(axis) for axis in spec.free_axes}
    shapes = tuple(
        {index: free[axis] for index, axis in enumerate(tensor.shape) if isinstance(axis, str)}
        for tensor in spec.inputs
    )
    values = tuple(tensors(feed, spec).values())
    with torch.no_grad():
        return torch.export.export(positional(module, spec), values, dynamic_shapes={"feed": shapes}, strict=False)


def _export_program(program: Any, spec: ModelSpec, out: Path) -> None:
    torch = need("torch", extra="export")
    made = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=OPSET,
        external_data=False,
        input_names=[tensor.name for tensor in spec.inputs],
        output_names=[tensor.name for tensor in spec.outputs],
        verbose=False,
    )
    made.save(out, external_data=False)


def _export_legacy(module: Any, spec: ModelSpec, feed: Feed, out: Path) -> None:
    torch = need("torch", extra="export")
    free = {
        tensor.name: {index: axis for index, axis in enumerate(tensor.shape) if isinstance(axis, str)}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    with torch.no_grad():
        torch.onnx.export(
            positional(module, spec),
            tuple(tensors(feed, spec).values()),
            out,
            dynamo=False,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            dynamic_axes={name: axes for name, axes in free.items() if axes},
        )


def slim(path: Path, spec: ModelSpec) -> None:
    """Simplify the file in place, give its free axes the spec's names, and run the full checker."""
    onnx = need("onnx", extra="export")
    model = need("onnxslim", extra="export").slim(str(path))
    _name_axes(model, spec)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def _name_axes(model: Any, spec: ModelSpec) -> None:
    """Replace the symbols of the exporter (`s47`) by the names of the spec."""
    names: dict[str, str] = {}
    by_name = {tensor.name: tensor for tensor in spec.inputs}
    for value in model.graph.input:
        for dim, axis in zip(value.type.tensor_type.shape.dim, by_name[value.name].shape, strict=True):
            if dim.dim_param and isinstance(axis, str):
                names[dim.dim_param] = axis
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), dim.dim_param)


def read_back(path: Path, spec: ModelSpec) -> Converted:
    """What the file says of itself.

    Raises:
        ConversionFailed: The file is no ONNX model, or lacks an input or output of the spec.
    """
    onnx = need("onnx", extra="export")
    try:
        model = onnx.load(str(path))
    except Exception as err:
        raise ConversionFailed(f"The converter wrote no ONNX model: {err}.") from err
    inputs = {value.name: _tensor(value) for value in model.graph.input}
    outputs = {value.name: _tensor(value) for value in model.graph.output}
    return Converted(
        inputs=_ordered(inputs, spec.inputs, "input"),
        outputs=_ordered(outputs, spec.outputs, "output"),
        opset=next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")),
        layout="NCHW" if any(len(tensor.shape) == 4 for tensor in spec.inputs) else "",
    )


def _ordered(found: Mapping[str, TensorSpec], wanted: tuple[TensorSpec, ...], what: str) -> tuple[TensorSpec, ...]:
    missing = [tensor.name for tensor in wanted if tensor.name not in found]
    if missing:
        raise ConversionFailed(f"The converter lost the {what} '{missing[0]}'; the file has {', '.join(found)}.")
    return tuple(found[tensor.name] for tensor in wanted)


def _tensor(value: Any) -> TensorSpec:
    onnx = need("onnx", extra="export")
    kind = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(kind.elem_type)
    shape = tuple(dim.dim_param or dim.dim_value for dim in kind.shape.dim)
    return TensorSpec(value.name, _DTYPES.get(dtype, dtype.lower()), shape)
