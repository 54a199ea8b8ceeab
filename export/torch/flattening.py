"""What a module returns, as tensors by name: nested containers, dataclasses, caches, distributions, numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeGuard

from edgekit.core.errors import UserError
from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Distribution, Tensor

_LEAF_NAME: Final = re.compile(r"[A-Za-z_][\w.]*")
# The fields of caches of transformers, which is not imported here: the cache, each of its layers, older caches.
_CACHES: Final = (
    ("self_attention_cache", "cross_attention_cache"),
    ("keys", "values"),
    ("layers",),
    ("key_cache", "value_cache"),
)

Part = tuple[str, object]


def is_tensor(value: object) -> TypeGuard[Tensor]:
    """Whether `value` is a tensor of torch."""
    return isinstance(value, need("torch", extra="export").Tensor)


def flatten(result: object) -> dict[str, Tensor]:
    """The tensors of a module's result by name, in order.

    A single tensor is `output`. Dictionaries, dataclasses and named tuples give their keys, a tuple or list gives
    `output_0`, `output_1`, and nested ones join their names by `_`. Numbers become tensors without axes, a
    distribution gives its parameters, a key-value cache its tensors; None is left out.

    Raises:
        UserError: The result contains something else, or no tensor at all.
    """
    if is_tensor(result):
        return {"output": result}
    found = dict(_leaves(result, ""))
    if not any(is_tensor(value) for value in found.values()):
        raise UserError(f"The module returns {type(result).__name__} without a tensor.")
    return {name: _as_tensor(value) for name, value in found.items()}


def _leaves(value: object, name: str) -> Iterable[Part]:
    torch = need("torch", extra="export")
    if isinstance(value, (torch.Tensor, bool, int, float, torch.SymInt, torch.SymFloat, torch.SymBool)):
        yield name or "output", value
        return
    parts = () if value is None else _parts(value, name)
    if parts is None:
        raise UserError(
            f"The module returns {type(value).__name__} in output '{name or 'output'}'; outputs must be tensors.",
            hint=_hint(value),
        )
    for key, part in parts:
        yield from _leaves(part, key)


def _parts(value: object, name: str) -> list[Part] | None:
    """What a container holds, each part with its full name; None for anything that is no container."""
    torch = need("torch", extra="export")
    if isinstance(value, Mapping):
        return [(_joined(name, str(key)), part) for key, part in value.items()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(_joined(name, key), part) for key, part in zip(value._fields, value, strict=True)]
    if isinstance(value, (tuple, list)):
        return _numbered(value, name)
    if isinstance(value, torch.distributions.Distribution):
        return [(_joined(name, key), part) for key, part in _parameters(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(_joined(name, one.name), getattr(value, one.name)) for one in dataclasses.fields(value)]
    fields = next((fields for fields in _CACHES if all(hasattr(value, key) for key in fields)), None)
    if fields is not None:
        return [(_joined(name, key) if len(fields) > 1 else name, getattr(value, key)) for key in fields]
    return _registered(value, name)


def _registered(value: object, name: str) -> list[Part] | None:
    """The parts of a class that was registered with torch's pytrees, as torch.export needs it."""
    node = need("torch.utils._pytree", extra="export").SUPPORTED_NODES.get(type(value))
    if node is None:
        return None
    if node.flatten_with_keys_fn is None:
        return _numbered(node.flatten_fn(value)[0], name)
    pairs, _ = node.flatten_with_keys_fn(value)
    keys = [str(getattr(key, "key", getattr(key, "name", key))).lstrip(".") for key, _ in pairs]
    return [(_joined(name, key), part) for key, (_, part) in zip(keys, pairs, strict=True)]


def _numbered(values: Iterable[object], name: str) -> list[Part]:
    return [(f"{name or 'output'}_{index}", part) for index, part in enumerate(values)]


def _parameters(value: Distribution) -> list[Part]:
    """The parameters that a distribution was made with; those of its base, if it transforms another one."""
    base = getattr(value, "base_dist", None)
    if base is not None:
        return _parameters(base)
    # `logits` and `probs` follow from each other; only the given one is stored.
    return [(key, vars(value)[key]) for key in type(value).arg_constraints if key in vars(value)]


def _as_tensor(value: object) -> Tensor:
    if is_tensor(value):
        return value
    torch = need("torch", extra="export")
    kinds = (((bool, torch.SymBool), torch.bool), ((int, torch.SymInt), torch.int64))
    dtype = next((dtype for kind, dtype in kinds if isinstance(value, kind)), torch.float32)
    scalar: Tensor = torch.scalar_tensor(value, dtype=dtype)
    return scalar


def _hint(value: object) -> str:
    if "cache" in type(value).__name__.lower():
        return "Call the network with use_cache=False, or register the class: torch.utils._pytree.register_pytree_node"
    return "Return tensors, or dictionaries, dataclasses, tuples and lists of them."


def _joined(name: str, key: str) -> str:
    clean = key if _LEAF_NAME.fullmatch(key) else f"output_{re.sub(r'[^0-9A-Za-z_.]', '_', key)}"
    return f"{name}_{clean}" if name else clean
