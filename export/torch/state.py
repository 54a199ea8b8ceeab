"""The tensors that a module consists of, carried from the worker that built it to all others. Runs in the worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.core.errors import ModelUnreadable
from edgekit.core.system.optional import need
from edgekit.export.torch.flattening import is_tensor

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

Tensors = Mapping[str, "Tensor"]


def tensors_of(module: Module) -> dict[str, Tensor]:
    """Every tensor of a module by name: parameters, buffers (those that are not saved as well), plain attributes."""
    found = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            if is_tensor(value):
                found[f"{path}.{key}" if path else key] = value
    return found


def copied(tensors: Tensors) -> dict[str, Tensor]:
    """The same values in memory of their own."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def save_state(module: Module, path: Path) -> None:
    """Write every tensor of a module to `path`."""
    need("torch", extra="export").save(copied(tensors_of(module)), path)


def save_weights(module: Module, path: Path) -> None:
    """Write the weights of a module as users do: `module.state_dict()` as safetensors."""
    weights = {name: tensor.contiguous() for name, tensor in copied(module.state_dict()).items()}
    need("safetensors.torch", extra="export").save_file(weights, path)


def load_state(module: Module, path: Path) -> tuple[str, ...]:
    """Give a module the tensors at `path`, and return the names of those that differed.

    Raises:
        ModelUnreadable: The module has other tensors: its factory built a different network.
    """
    torch = need("torch", extra="export")
    given, own = torch.load(path, weights_only=True), tensors_of(module)
    names = differing(own, given)
    for name in names:
        if name not in own or name not in given or own[name].shape != given[name].shape:
            raise ModelUnreadable(
                f"The factory built a different network the second time: '{name}' has changed.",
                hint="Set every seed in the factory: torch.manual_seed(0), random.seed(0), numpy.random.seed(0)",
            )
        with torch.no_grad():
            own[name].copy_(given[name])
    return names


def differing(a: Tensors, b: Tensors) -> tuple[str, ...]:
    """Names of the tensors that are not the same in `a` and `b`."""
    return tuple(name for name in dict.fromkeys([*a, *b]) if not _is_same(a.get(name), b.get(name)))


def _is_same(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None or a.shape != b.shape or a.dtype != b.dtype:
        return False
    # NaN is equal to NaN here: masks and positions contain it on purpose.
    return bool((a.eq(b) | (a.isnan() & b.isnan())).all())
