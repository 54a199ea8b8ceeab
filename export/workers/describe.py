"""Inputs and outputs of a source file, read in a process that may crash."""

from __future__ import annotations

from pathlib import Path

from edgekit.core.errors import ConversionFailed, ModelUnreadable
from edgekit.export import messages
from edgekit.export.workers.worker import Worker


def describe_file(path: Path, *, timeout_s: float) -> messages.Described:
    """Inputs and outputs of an .onnx, .tflite or .pt2 file.

    Raises:
        ModelUnreadable: It is damaged, or crashes the process that reads it.
        Refused: An input or output has a type that no backend supports.
    """
    with Worker(path.suffix[1:].lower(), timeout_s=timeout_s) as worker:
        try:
            found = worker.ask(messages.Describe(str(path.resolve())), f"reading '{path}'").described
        except ConversionFailed as err:
            raise ModelUnreadable(err.message, hint=err.hint) from err
    if found is None or not found.inputs:
        raise ModelUnreadable(f"'{path}' has no inputs.")
    return found


def describe_library_model(library: str, name: str, *, timeout_s: float) -> messages.LibraryModel:
    """The model called `name` of a library; errors as in `library_models.library_model`."""
    with Worker(library, timeout_s=timeout_s) as worker:
        found = worker.ask(messages.DescribeLibraryModel(library, name), f"looking up '{name}'").library
    if found is None:
        raise ConversionFailed(f"{library} did not describe '{name}'.")
    return found
