"""Factories that a user names: in a file of their own, or in an installed package. Nothing is imported here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

from edgekit.core.errors import EnvironmentFault, UserError, nearest
from edgekit.export.factory_call import HUGGING_FACE, FactoryCall, parse_factory
from edgekit.export.formats import is_model_file
from edgekit.export.workers.library_models import LIBRARIES
from edgekit.train.registry import MODELS

_WEIGHTS: Final = (".pt", ".pth", ".ckpt", ".tar", ".safetensors", ".bin")
# Packages whose name in the index is that of the module.
_PUBLISHED = ("timm", "torchvision", "torchaudio", "transformers", "segmentation_models_pytorch", "open_clip_torch")


def named_factory(source: str) -> FactoryCall:
    """The factory that `source` names, with the whole path of its file.

    Raises:
        UserError: There is no such file, no function is named, or an argument is not a literal.
        EnvironmentFault: The package is not installed; the hint installs it.
    """
    if source.endswith(".py"):
        raise UserError(f"'{source}' does not name the function that makes the model.", hint=f"{source}:Net")
    call = parse_factory(source)
    if call.is_file and not Path(call.place).is_file():
        raise UserError(f"There is no file '{call.place}'.", hint="edgekit build path/to/net.py:Net")
    if not call.is_file:
        _refuse_missing(package_of(call))
    return call


def package_of(call: FactoryCall) -> str:
    """The package whose code makes the network."""
    return "transformers" if call.place == HUGGING_FACE else call.place.partition(".")[0]


def in_library(call: FactoryCall) -> bool:
    """Whether the call is a short form: the name of a model that a library knows, as `timm:resnet18` or `hf:DIR`."""
    is_bare = not call.arguments and not call.keywords
    return call.place in LIBRARIES and (is_bare or call.place == HUGGING_FACE)


def resolved(call: FactoryCall) -> str:
    """The text from which a worker makes the call."""
    return call.at(str(Path(call.place).resolve())) if call.is_file else str(call)


def portable(call: FactoryCall) -> str:
    """The text that a bundle keeps: without the folder of the file."""
    return call.at(Path(call.place).name) if call.is_file else str(call)


def not_a_source(source: str) -> UserError:
    """The error for a text that names no source."""
    path = Path(source)
    if is_model_file(source):
        return UserError(f"There is no file '{source}'.", hint="edgekit export path/to/model.onnx")
    if path.suffix.lower() in _WEIGHTS and path.is_file():
        return UserError(
            f"'{source}' contains weights, and not the code of their network.",
            hint=f"edgekit build path/to/net.py:Net --weights {source}",
        )
    offer = nearest(source, MODELS)
    return UserError(
        f"'{source}' is not a reference model, run directory, file.py:factory, package:factory or model file.{offer}",
        hint="edgekit list models",
    )


def _refuse_missing(package: str) -> None:
    """Raise if a package is neither installed nor in the current folder, where a worker would find it."""
    if Path(package).is_dir() or Path(f"{package}.py").is_file():
        return
    try:
        is_there = importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        is_there = False
    if not is_there:
        install = f"pip install {package}"
        build = "edgekit build path/to/net.py:Net"
        hint = install if package in _PUBLISHED else build
        raise EnvironmentFault(f"The package '{package}' is not installed.", hint=hint)
