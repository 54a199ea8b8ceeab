"""The TFLite exporter: litert-torch with one signature per combination of sizes. Runs in the worker."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from edgekit.core.errors import ConversionFailed, EdgekitError, UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.core.system.optional import need
from edgekit.export.messages import Converted
from edgekit.export.raw_inputs import layout_of
from edgekit.export.shapes.calibration import fitted
from edgekit.export.shapes.signatures import signatures_of
from edgekit.export.tflite.compact import compact
from edgekit.export.tflite.lowering import decompose
from edgekit.export.torch.call import call, call_arguments, positional, tensors
from edgekit.export.torch.flattening import flatten
from edgekit.export.torch.real_form import real_form
from edgekit.export.torch.untraceable import unsupported_in_tflite, untraceable

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor


class TfliteExporter:
    """Writes .tflite files; inputs keep the layout of the torch module."""

    def prepare(self) -> None:
        """Import the converter."""
        need("litert_torch", extra="tflite-export")

    def export(self, module: Module, spec: ModelSpec, feed: Feed, out: Path, *, is_complex: bool = False) -> Converted:
        """Write the float32 file: one signature per combination of sizes, weights shared.

        TFLite has no complex numbers: a module in which they occur (`is_complex`) is written by their parts.
        """
        _refuse_names(spec)
        torch = need("torch", extra="tflite-export")
        converter = need("litert_torch", extra="tflite-export").Converter()
        decompose()
        named = _named(module, spec)
        try:
            for signature in signatures_of(spec):
                cut = {tensor.name: fitted(feed[tensor.name], tensor, signature.sizes) for tensor in spec.inputs}
                given = tensors(cut, spec)
                written = _without_complex(module, spec, given) if is_complex else named
                converter.signature(signature.name, written, None, given)
            with torch.no_grad():
                converter.convert().export(str(out))
        except EdgekitError:
            raise
        except Exception as err:
            explained = unsupported_in_tflite(err) or untraceable(err)
            if explained is not None:
                raise explained from err
            raise
        compact(out, rename=True)
        return read_back(out, spec)


def _refuse_names(spec: ModelSpec) -> None:
    """The converter makes Python arguments of input names."""
    for tensor in spec.inputs:
        if not tensor.name.isidentifier() or keyword.iskeyword(tensor.name) or tensor.name == "self":
            kind = str(tensor).partition(":")[2]
            raise UserError(
                f"A TFLite file cannot have an input called '{tensor.name}'.",
                hint=f"--input 'x:{kind}', with the samples under the same name",
            )


def _named(module: Module, spec: ModelSpec) -> Module:
    """The module behind a wrapper with keyword inputs and a dictionary of outputs: the file takes its names from it."""
    arguments = call_arguments(module, spec)
    return _by_name(spec, module, lambda inner, feed: flatten(call(inner, arguments, feed)).values())


def _without_complex(module: Module, spec: ModelSpec, given: dict[str, Tensor]) -> Module:
    """The same for a module with complex numbers, by their parts."""
    real = real_form(positional(module, spec), tuple(given.values()))
    return _by_name(spec, real, lambda inner, values: cast("Iterable[Tensor]", inner(*values)))


def _by_name(spec: ModelSpec, module: Module, outputs_of: Callable[[Module, list[Tensor]], Iterable[Tensor]]) -> Module:
    torch = need("torch", extra="tflite-export")
    inputs = [tensor.name for tensor in spec.inputs]
    outputs = [tensor.name for tensor in spec.outputs]

    class Named(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Inputs and outputs by the spec's names."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, **feed: Tensor) -> dict[str, Tensor]:
            return dict(zip(outputs, outputs_of(self.module, [feed[name] for name in inputs]), strict=True))

    made: Module = Named()
    return made.eval()


def read_back(path: Path, spec: ModelSpec) -> Converted:
    """What the file says about itself.

    Raises:
        ConversionFailed: The file is not a TFLite model, or its signatures have other names than the spec.
    """
    interpreter = need("ai_edge_litert.interpreter", extra="tflite")
    try:
        model = interpreter.Interpreter(str(path), num_threads=1)
        found = model.get_signature_list()
    except (ValueError, RuntimeError) as err:
        raise ConversionFailed(f"The converter did not write a TFLite model: {err}.") from err
    wanted = signatures_of(spec)
    for signature in wanted:
        _check_names(found.get(signature.name), signature.name, spec)
    runner = model.get_signature_runner(wanted[0].name)
    return Converted(
        inputs=_tensors(runner.get_input_details(), spec.inputs),
        outputs=_tensors(runner.get_output_details(), spec.outputs),
        layout=layout_of(spec),
        signatures=wanted,
    )


def _check_names(found: dict[str, list[str]] | None, name: str, spec: ModelSpec) -> None:
    if found is None:
        raise ConversionFailed(f"The converter lost the signature '{name}'.")
    for what, wanted in (("inputs", spec.inputs), ("outputs", spec.outputs)):
        if set(found[what]) != {tensor.name for tensor in wanted}:
            raise ConversionFailed(f"Signature '{name}' has {what} {', '.join(found[what])}, not those of the model.")


def _tensors(details: dict[str, dict[str, Any]], wanted: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """Name, dtype and shape from the file; dynamic axes keep the spec's names, the signatures have their sizes."""
    return tuple(
        TensorSpec(
            tensor.name,
            np.dtype(details[tensor.name]["dtype"]).name,
            tuple(
                axis if isinstance(axis, str) else int(size)
                for axis, size in zip(tensor.shape, details[tensor.name]["shape"], strict=True)
            ),
        )
        for tensor in wanted
    )
