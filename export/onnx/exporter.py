"""The ONNX exporter: torch.onnx with onnxslim, read back and checked. Runs in the worker."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from edgekit.core.errors import ConversionFailed
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.core.system.optional import need
from edgekit.export.messages import Converted
from edgekit.export.onnx.compact import with_free_steps, without_wrapper
from edgekit.export.onnx.nodes import name_borders
from edgekit.export.onnx.opsets import at_opset, oldest
from edgekit.export.raw_inputs import layout_of
from edgekit.export.torch.call import call, call_arguments, positional, tensors
from edgekit.export.torch.flattening import flatten
from edgekit.export.torch.real_form import real_form
from edgekit.export.torch.untraceable import first_line, untraceable
from edgekit.runtime.backends.tensors import SIZES_KEY

if TYPE_CHECKING:
    from edgekit.export.graphs.onnx_types import ModelProto, TensorShapeProto, ValueInfoProto
    from edgekit.export.graphs.torch_types import Module, Tensor

# 18 runs everywhere: older versions of ONNX Runtime read it, newer exporters write it without down-conversion.
OPSET: Final = 18
_DTYPES: Final = {
    "STRING": "str",
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
    """Writes .onnx files of opset 18; dynamic axes remain dynamic."""

    def prepare(self) -> None:
        """Import the converter."""
        need("torch.onnx", extra="export")
        need("onnxscript", extra="export")
        need("onnxslim", extra="export")

    def export(
        self,
        module: Module,
        spec: ModelSpec,
        feed: Feed,
        out: Path,
        *,
        opset: int = OPSET,
        is_complex: bool = False,
    ) -> Converted:
        """Write the float32 file; falls back to the legacy exporter, with a warning.

        A module with complex numbers (`is_complex`) is written by their parts where that is possible.
        """
        exporter, warnings = _write(module, spec, feed, out, opset, is_complex=is_complex)
        slim(out, spec)
        options: dict[str, str | int | float | bool] = {"exporter": exporter, "opset": opset, "simplifier": "onnxslim"}
        made = read_back(out, spec)
        return msgspec.structs.replace(made, options=options, warnings=(*warnings, *_frozen(made, spec)))


def _write(
    module: Module, spec: ModelSpec, feed: Feed, out: Path, opset: int, *, is_complex: bool
) -> tuple[str, tuple[str, ...]]:
    """Write the file with the first exporter that can; its name, and the warning that it is not the usual one."""
    wrapped = positional(module, spec)
    if is_complex and _write_real(wrapped, spec, feed, out, opset):
        return "dynamo", ()
    try:
        _export_dynamo(wrapped, spec, feed, out, opset)
    except Exception as err:  # the exporter raises whatever its passes raise
        # The older exporter would follow the branch that one sample takes, and be wrong for others.
        explained = untraceable(err)
        if explained is not None:
            raise explained from err
        if _write_strictly(module, spec, feed, out, opset):
            return "dynamo", ()
        _export_legacy(wrapped, spec, feed, out, opset)
        return "legacy", (f"torch.onnx failed ({first_line(err)}); its legacy exporter wrote this file",)
    if _is_frozen(out, spec):
        _write_strictly(module, spec, feed, out, opset)
    return "dynamo", ()


def _write_real(wrapped: Module, spec: ModelSpec, feed: Feed, out: Path, opset: int) -> bool:
    """Write the file of a module with complex numbers by their parts; false, without a file, where that fails.

    The exporter itself knows only some operators of complex numbers, and few backends have its Fourier transforms.
    """
    given = tuple(tensors(feed, spec).values())

    def write(path: Path) -> bool:
        _export_dynamo(real_form(wrapped, given, _free_axes(spec)), spec, feed, path, opset)
        return True

    return _written_apart(out, write, spec)


def _write_strictly(module: Module, spec: ModelSpec, feed: Feed, out: Path, opset: int) -> bool:
    """Write the file from a trace that reads the code instead of running it; false, without a file, if that fails.

    A size that the code makes a number of Python, int(x.size(0)), remains dynamic there.
    """

    def write(path: Path) -> bool:
        direct = unwrapped(module, spec, feed)
        if direct is None:
            return False
        _export_dynamo(direct, spec, feed, path, opset, strict=True)
        return True

    return _written_apart(out, write, spec)


def _written_apart(out: Path, write: Callable[[Path], bool], spec: ModelSpec) -> bool:
    """Whether `write` wrote a file whose axes are free, which then is at `out`; what is there stays otherwise."""
    apart = out.with_suffix(".apart.onnx")
    try:
        if not write(apart) or _is_frozen(apart, spec):
            return False
        apart.replace(out)
    except Exception:  # noqa: BLE001  # the exporter raises whatever its passes raise
        return False
    finally:
        apart.unlink(missing_ok=True)
    return True


def _is_frozen(path: Path, spec: ModelSpec) -> bool:
    """Whether the file fixes an axis of an input that the spec has as dynamic."""
    model: ModelProto = need("onnx", extra="export").load(str(path), load_external_data=False)
    wanted = {tensor.name: tensor.shape for tensor in spec.inputs}
    return any(
        isinstance(axis, str) and not dim.dim_param
        for value in model.graph.input
        for axis, dim in zip(wanted.get(value.name, ()), value.type.tensor_type.shape.dim, strict=False)
    )


def unwrapped(module: Module, spec: ModelSpec, feed: Feed) -> Module | None:
    """The module behind a wrapper that a strict trace can read; None if torch would order its outputs differently."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)

    class Unwrapped(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Inputs in the spec's order."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *feed: Tensor) -> object:
            return call(self.module, arguments, feed)

    with torch.no_grad():
        result = call(module, arguments, tensors(feed, spec).values())
    leaves = need("torch.utils._pytree", extra="export").tree_leaves(result)
    ours = list(flatten(result).values())
    same = len(leaves) == len(ours) and all(one is other for one, other in zip(leaves, ours, strict=True))
    made: Module = Unwrapped()
    return made.eval() if same else None


def _export_dynamo(module: Module, spec: ModelSpec, feed: Feed, out: Path, opset: int, *, strict: bool = False) -> None:
    torch = need("torch", extra="export")
    _match_exactly()
    # A prefix, because `in` and `E` mean something to Python and to the algebra behind these names.
    free = {axis: torch.export.Dim(f"axis_{axis}") for axis in spec.free_axes}
    shapes = tuple(
        {index: free[axis] for index, axis in enumerate(tensor.shape) if isinstance(axis, str)}
        for tensor in spec.inputs
    )
    given, dynamic = tuple(tensors(feed, spec).values()), (shapes,) if free else None
    export = functools.partial(torch.onnx.export, dynamo=True, opset_version=OPSET, external_data=False, verbose=False)
    with torch.no_grad():
        if strict:
            made = export(torch.export.export(module, given, dynamic_shapes=dynamic, strict=True))
        else:
            made = export(module, given, dynamic_shapes=dynamic)
    model = with_free_steps(made.model_proto)
    # Afterwards, because the exporter lets a name that one of its tensors has refer to itself.
    name_borders(model.graph, [tensor.name for tensor in spec.inputs], [tensor.name for tensor in spec.outputs])
    need("onnx", extra="export").save(at_opset(model, opset), str(out))


def _free_axes(spec: ModelSpec) -> tuple[tuple[dict[int, object], ...], ...] | None:
    """The dynamic axes of all inputs, as torch.export takes them; None without any."""
    torch = need("torch", extra="export")
    # A prefix, because `in` and `E` mean something to Python and to the algebra behind these names.
    free = {axis: torch.export.Dim(f"axis_{axis}") for axis in spec.free_axes}
    shapes = tuple(
        {index: free[axis] for index, axis in enumerate(tensor.shape) if isinstance(axis, str)}
        for tensor in spec.inputs
    )
    return (shapes,) if free else None


def _match_exactly() -> None:
    """Make the exporter's rules for `x + 0` and `x * 1` match these numbers alone.

    onnxscript 0.7.2 takes everything up to 1e-8 for zero: it drops epsilons, and a division becomes one by zero.
    """
    for rule in need("onnxscript.rewriter.rules.common._no_op", extra="export").rules.rules:
        for node in rule._target_pattern:
            for constant in node.inputs:
                if hasattr(constant, "_abs_tol"):
                    constant._abs_tol = constant._rel_tol = 0.0


def _export_legacy(wrapped: Module, spec: ModelSpec, feed: Feed, out: Path, opset: int) -> None:
    torch = need("torch", extra="export")
    free = {
        tensor.name: {index: axis for index, axis in enumerate(tensor.shape) if isinstance(axis, str)}
        for tensor in (*spec.inputs, *spec.outputs)
    }
    with torch.no_grad():
        torch.onnx.export(
            wrapped,
            tuple(tensors(feed, spec).values()),
            out,
            dynamo=False,
            opset_version=opset,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            dynamic_axes={name: axes for name, axes in free.items() if axes},
        )


def slim(path: Path, spec: ModelSpec) -> None:
    """Simplify the file in place, give its dynamic axes the spec's names, and run the full checker."""
    model = need("onnxslim", extra="export").slim(str(path))
    save(without_wrapper(model), path, spec)


def save(model: ModelProto, path: Path, spec: ModelSpec, *, shapes: bool = True) -> None:
    """Write a checked model whose inputs and outputs have the axes of the spec.

    Args:
        shapes: Whether the shapes inside are written as well; onnxruntime 1.31 crashes on float16 graphs without them.
    """
    onnx = need("onnx", extra="export")
    _name_axes(model, spec)
    _write_sizes(model, spec)
    model = oldest(model)
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    if not shapes:
        del model.graph.value_info[:]
    onnx.save(model, str(path))


def _write_sizes(model: ModelProto, spec: ModelSpec) -> None:
    """The sizes that the spec lists travel in the file: outside of its bundle it is measured at them."""
    others = {entry.key: entry.value for entry in model.metadata_props if entry.key != SIZES_KEY}
    sizes = {SIZES_KEY: msgspec.json.encode(spec.sizes, order="sorted").decode()} if spec.sizes else {}
    need("onnx", extra="export").helper.set_model_props(model, {**others, **sizes})


def _name_axes(model: ModelProto, spec: ModelSpec) -> None:
    """Free axes get the spec's names instead of the exporter's symbols (`s47`).

    Inputs that the exporter fixed stay as they are: they are correct. Shapes inside the graph are dropped and have
    to be inferred again: around recurrent layers the exporter writes the length it was traced at.
    """
    del model.graph.value_info[:]
    inputs = {tensor.name: tensor for tensor in spec.inputs}
    for value in model.graph.input:
        for dim, axis in zip(value.type.tensor_type.shape.dim, inputs[value.name].shape, strict=True):
            if dim.dim_param and isinstance(axis, str):
                dim.dim_param = axis
    outputs = {tensor.name: tensor for tensor in spec.outputs}
    for value in model.graph.output:
        _set_shape(value.type.tensor_type.shape, outputs[value.name].shape)


def _set_shape(shape: TensorShapeProto, axes: tuple[Axis, ...]) -> None:
    del shape.dim[:]
    for axis in axes:
        if isinstance(axis, str):
            shape.dim.add().dim_param = axis
        else:
            shape.dim.add().dim_value = axis


def read_back(path: Path, spec: ModelSpec) -> Converted:
    """What the file says about itself.

    Raises:
        ConversionFailed: The file is not an ONNX model, or lacks an input or output of the spec.
    """
    onnx = need("onnx", extra="export")
    try:
        model = onnx.load(str(path))
    except Exception as err:
        raise ConversionFailed(f"The converter did not write an ONNX model: {err}.") from err
    inputs = {value.name: _tensor(value) for value in model.graph.input}
    outputs = {value.name: _tensor(value) for value in model.graph.output}
    return Converted(
        inputs=_ordered(inputs, spec.inputs, "input"),
        outputs=_ordered(outputs, spec.outputs, "output"),
        opset=next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), None),
        layout=layout_of(spec),
    )


def _frozen(made: Converted, spec: ModelSpec) -> tuple[str, ...]:
    """Free axes of the spec that the exporter fixed."""
    return tuple(
        f"axis '{axis}' of '{tensor.name}' is fixed at {size} in this file"
        for tensor, got in zip(spec.inputs, made.inputs, strict=True)
        for axis, size in zip(tensor.shape, got.shape, strict=True)
        if isinstance(axis, str) and isinstance(size, int)
    )


def _ordered(found: Mapping[str, TensorSpec], wanted: tuple[TensorSpec, ...], what: str) -> tuple[TensorSpec, ...]:
    missing = [tensor.name for tensor in wanted if tensor.name not in found]
    if missing:
        raise ConversionFailed(f"The converter lost the {what} '{missing[0]}'; the file has {', '.join(found)}.")
    return tuple(found[tensor.name] for tensor in wanted)


def _tensor(value: ValueInfoProto) -> TensorSpec:
    onnx = need("onnx", extra="export")
    kind = value.type.tensor_type
    dtype = onnx.TensorProto.DataType.Name(kind.elem_type)
    shape = tuple(dim.dim_param or dim.dim_value for dim in kind.shape.dim)
    return TensorSpec(value.name, _DTYPES.get(dtype, dtype.lower()), shape)
