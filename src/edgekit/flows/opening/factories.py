"""Factories that a user names: in a file of their own, or in an installed package. Nothing is imported here."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgekit.core.errors import EnvironmentFault, UserError
from edgekit.export.factory_call import FactoryCall, parse_factory
from edgekit.export.workers.library_models import LIBRARIES

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
        _refuse_missing(call.place.partition(".")[0])
    return call


def in_library(call: FactoryCall) -> bool:
    """Whether the call is a short form: the name of a model that a library knows, as `timm:resnet18`."""
    return call.place in LIBRARIES and not call.arguments and not call.keywords


def resolved(call: FactoryCall) -> str:
    """The text from which a worker makes the call."""
    return call.at(str(Path(call.place).resolve())) if call.is_file else str(call)


def portable(call: FactoryCall) -> str:
    """The text that a bundle keeps: without the folder of the file."""
    return call.at(Path(call.place).name) if call.is_file else str(call)


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
