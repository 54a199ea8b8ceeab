"""Whether the weights of a module are drawn by chance: then it is not trained. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgekit.export.messages import ModuleRef
from edgekit.export.torch.module import load_module
from edgekit.export.torch.state import differing, tensors_of

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module

# Building a module of so many numbers again takes a second or two.
_REBUILT: Final = 100_000_000
_OTHER_SEED: Final = 1


@dataclass(frozen=True)
class DrawnWeights:
    """`by_seed`: another seed gives other weights. `by_call`: another call with the same seed does as well."""

    by_seed: bool = False
    by_call: bool = False


def drawn_weights(module: Module, ref: ModuleRef, seed: int) -> DrawnWeights:
    """How the factory of `module`, which `ref` and `seed` gave, sets its weights: given ones are not drawn."""
    own = tensors_of(module)
    if ref.weights or sum(tensor.numel() for tensor in own.values()) > _REBUILT:
        return DrawnWeights()
    try:
        other = load_module(ref, seed=seed + _OTHER_SEED, again=True)
        changed = differing(own, tensors_of(other))
        if not changed:
            return DrawnWeights()
        again = differing(own, tensors_of(load_module(ref, seed=seed, again=True)))
    except Exception:  # noqa: BLE001  # some factories can be called only once
        return DrawnWeights()
    return DrawnWeights(by_seed=any(name in changed for name in _saved(module)), by_call=bool(again))


def _saved(module: Module) -> Iterator[str]:
    """The names of what training would set or keep: buffers that are not saved are no weights."""
    yield from module.state_dict()
