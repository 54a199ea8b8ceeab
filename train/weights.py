"""The shipped weights, and loading safetensors files into a network."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.core.errors import EnvironmentFault, ModelUnreadable
from edgekit.core.samples import Samples
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from torch import nn

    from edgekit.train.model import ReferenceModel


def shipped_weights(name: str) -> Path | None:
    """The shipped weights file of a reference model, or None."""
    return _shipped(f"{name}.safetensors")


def shipped_samples(name: str) -> Samples | None:
    """Up to 64 shipped real samples of a reference model, or None."""
    card = shipped_card(name)
    file = json.loads(card.read_bytes()).get("samples") if card else None
    path = _shipped(file or f"{name}.samples.npz")
    return Samples.load(path) if path else None


def shipped_card(name: str) -> Path | None:
    """The card of the shipped weights (metric, data, command and time of the training), or None."""
    return _shipped(f"{name}.card.json")


def require_weights(model: ReferenceModel) -> Path:
    """The shipped weights of `model`.

    Raises:
        EnvironmentFault: No weights are shipped; the hint is the command that trains them.
    """
    path = shipped_weights(model.spec.name)
    if path is None:
        reason = f" ({model.terms})" if model.terms else ""
        raise EnvironmentFault(
            f"No weights are shipped for '{model.spec.name}'{reason}.",
            hint=f"edgekit train {model.spec.name} --out runs/{model.spec.name} --data DIR",
        )
    return path


def load_network(model: ReferenceModel, weights: Path) -> nn.Module:
    """The network of `model` with `weights`, in evaluation mode."""
    module = model.build()
    load_state(module, weights)
    return module.eval()


def load_state(module: nn.Module, path: Path) -> None:
    """Load the tensors of a safetensors file into `module`.

    Raises:
        ModelUnreadable: The file is not a safetensors file, or tensors are missing, unexpected or of another shape.
    """
    found = read_tensors(path)
    problems = _problems(module.state_dict(), found)
    if problems:
        raise ModelUnreadable(f"'{path}' does not fit the network:" + "".join(f"\n  {line}" for line in problems))
    module.load_state_dict(found)


def read_tensors(path: Path) -> dict[str, Any]:
    """Every tensor of a safetensors file by name.

    Raises:
        ModelUnreadable: The file is missing or damaged.
    """
    safetensors = need("safetensors", extra="export")
    load = need("safetensors.torch", extra="export").load_file
    try:
        return dict(load(path))
    except (OSError, safetensors.SafetensorError) as err:
        raise ModelUnreadable(f"'{path}' is not a safetensors file: {err}.") from err


def _problems(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    missing = [f"'{name}' is missing." for name in wanted if name not in found]
    extra = [f"'{name}' is unexpected." for name in found if name not in wanted]
    shapes = [
        f"'{name}' has shape {tuple(found[name].shape)}, expected {tuple(wanted[name].shape)}."
        for name in wanted
        if name in found and found[name].shape != wanted[name].shape
    ]
    return missing + extra + shapes


def _shipped(file: str) -> Path | None:
    path = Path(str(files("edgekit.train") / "weights" / file))
    return path if path.is_file() else None
