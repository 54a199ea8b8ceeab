"""Inputs and outputs of a source file, read in a process that may crash."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.core.errors import ConversionFailed, ModelUnreadable
from edgekit.core.samples import Feed, read_arrays
from edgekit.core.system.durable.owners import temporary_folder
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


def describe_library_model(
    library: str, name: str, *, timeout_s: float, may_download: bool = False
) -> messages.LibraryModel:
    """The model called `name` of a library; errors as in `library_models.library_model`."""
    job = messages.DescribeLibraryModel(library, name, may_download)
    with Worker(library, timeout_s=timeout_s) as worker:
        found = worker.ask(job, f"looking up '{name}'").library
    if found is None:
        raise ConversionFailed(f"{library} did not describe '{name}'.")
    return found


def tokens_of(
    name: str, texts: Sequence[tuple[str, ...]], tokens: messages.Tokens, *, timeout_s: float, length: int = 0
) -> Feed:
    """The inputs (S, T) that the tokenizer of a model of transformers makes of S texts, or of S pairs of them.

    Args:
        length: T, or 0 for as many tokens as the longest text has.
    """
    with temporary_folder() as folder, Worker("hf", timeout_s=timeout_s) as worker:
        out = Path(folder) / "tokens.npz"
        job = messages.Tokenize(name, tuple(texts), tokens.inputs, str(out), length, tokens.length)
        worker.ask(job, f"reading the texts with the tokenizer of '{name}'")
        return read_arrays(out, ConversionFailed)


def parameters_of(module: messages.ModuleRef, *, timeout_s: float) -> tuple[str, ...]:
    """The names of the parameters of a module's `forward`; loads the module, and so runs the user's code.

    Raises:
        UserError: The module cannot be loaded.
    """
    with Worker("torch", timeout_s=timeout_s) as worker:
        return worker.ask(messages.Parameters(module), f"loading '{module.location}'").parameters or ()
