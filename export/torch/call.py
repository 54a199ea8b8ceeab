"""Running a torch module: its inputs by name, its outputs by name, and the operators it calls. Runs in the worker."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from edgekit.core.errors import UserError
from edgekit.core.recipe import ATTENTION, LOG_SPECTRUM
from edgekit.core.samples import Feed
from edgekit.core.spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, named, onnx_name
from edgekit.export.torch.untraceable import code_place

_ATTENDING: Final = named("torch", Trait.ATTENDS)
_PASSING: Final = named("torch", Trait.PASSES)
_LOGARITHMS: Final = named("torch", Trait.LOGARITHM)
_LAYERS: Final = named("torch", Trait.LAYER)
_LEAF_NAME: Final = re.compile(r"[A-Za-z_][\w.]*")


def tensors(feed: Mapping[str, Any], spec: ModelSpec) -> dict[str, Any]:
    """The feed as torch tensors of the spec's dtypes, in the spec's order."""
    torch = need("torch", extra="export")
    return {
        tensor.name: torch.from_numpy(feed[tensor.name].copy()).to(getattr(torch, tensor.dtype))
        for tensor in spec.inputs
    }


def call_arguments(module: Any, spec: ModelSpec) -> tuple[str, ...]:
    """The keyword by which each input is passed; an empty one means by position.

    Inputs go by keyword when the module's `forward` has a parameter for every name, whatever its order.
    """
    names = tuple(tensor.name for tensor in spec.inputs)
    try:
        parameters = inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return tuple("" for _ in names)
    keywords = {key for key, parameter in parameters.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD}
    return names if set(names) <= keywords else tuple("" for _ in names)


def call(module: Any, arguments: tuple[str, ...], values: Iterable[Any]) -> Any:
    """What the module returns for `values`, passed as `call_arguments` says."""
    pairs = list(zip(arguments, values, strict=True))
    return module(*(value for key, value in pairs if not key), **{key: value for key, value in pairs if key})


def flatten(result: Any) -> dict[str, Any]:
    """The tensors of a module's result by name, in order.

    A dictionary or a dataclass-like result gives its keys, a single tensor is `output`, a tuple or list gives
    `output_0`, `output_1`, and nested ones join their names by `_`.

    Raises:
        UserError: The result contains something that is not a tensor, or no tensor at all.
    """
    torch = need("torch", extra="export")
    if isinstance(result, torch.Tensor):
        return {"output": result}
    found = dict(_leaves(result, ""))
    if not found:
        raise UserError(f"The module returns {type(result).__name__} without a tensor.")
    return found


def _leaves(value: Any, name: str) -> Iterable[tuple[str, Any]]:
    torch = need("torch", extra="export")
    if isinstance(value, torch.Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, _joined(name, str(key)))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, part in zip(value._fields, value, strict=True):
            yield from _leaves(part, _joined(name, key))
    elif isinstance(value, (tuple, list)):
        for index, part in enumerate(value):
            yield from _leaves(part, f"{name or 'output'}_{index}")
    elif value is not None:
        raise UserError(
            f"The module returns {type(value).__name__} in output '{name or 'output'}'; outputs must be tensors."
        )


def _joined(name: str, key: str) -> str:
    clean = key if _LEAF_NAME.fullmatch(key) else f"output_{re.sub(r'[^0-9A-Za-z_.]', '_', key)}"
    return f"{name}_{clean}" if name else clean


def run_module(module: Any, spec: ModelSpec, feed: Feed) -> Feed:
    """The module's outputs for one feed, as arrays by name.

    Raises:
        UserError: The module itself fails on this feed, or returns no tensors.
    """
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)
    with torch.no_grad():
        try:
            result = call(module, arguments, tensors(feed, spec).values())
        except Exception as err:
            raise _failed_call(err, feed) from err
    named = flatten(result)
    return {name: value.detach().cpu().contiguous().numpy() for name, value in _renamed(named, spec).items()}


def output_names(found: Iterable[str], spec: ModelSpec) -> tuple[str, ...]:
    """Names of the outputs: the spec's where it has them, else the module's own.

    Raises:
        UserError: The spec does not have as many outputs as the module returns.
    """
    own = tuple(found)
    wanted = tuple(tensor.name for tensor in spec.outputs)
    if not wanted or set(wanted) == set(own):
        return _free_of_inputs(own, spec)
    if len(wanted) != len(own):
        raise UserError(f"The module returns {len(own)} outputs ({', '.join(own)}); the spec has {len(wanted)}.")
    return wanted


def operators_of(module: Any, spec: ModelSpec, feed: Feed) -> frozenset[str]:
    """ONNX names of the operators that decide how this module is quantized; `Softmax*MatMul` means attention."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)
    recorder = _recorder()
    with torch.no_grad(), recorder:
        call(module, arguments, tensors(feed, spec).values())
    return frozenset(recorder.operators)


def _recorder() -> Any:
    overrides = need("torch.overrides", extra="export")

    class FunctionRecorder(overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Notes every function that is called, and whether a softmax is multiplied by something."""

        def __init__(self) -> None:
            super().__init__()
            self.operators: set[str] = set()
            self.took_logarithm = False
            # Kept alive, so that an id stands for one tensor only.
            self.weights: list[Any] = []

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            name = getattr(function, "__name__", "")
            self.operators |= {onnx_name("torch", name)} - {""}
            if self.took_logarithm and name in _LAYERS:
                self.operators.add(LOG_SPECTRUM)
            self.took_logarithm |= name in _LOGARITHMS
            self._follow(name, args, result)
            return result

        def _follow(self, name: str, args: Any, result: Any) -> None:
            touched = any(value is kept for value in _flat(args) for kept in self.weights)
            if touched and name in _ATTENDING:
                self.operators.add(ATTENTION)
            if name == "softmax" or (touched and name in _PASSING):
                self.weights.append(result)

    return FunctionRecorder()


def _flat(args: Any) -> Iterable[Any]:
    for value in args:
        if isinstance(value, (tuple, list)):
            yield from value
        else:
            yield value


def _renamed(named: dict[str, Any], spec: ModelSpec) -> dict[str, Any]:
    names = output_names(named, spec)
    if set(names) == set(named):
        return {name: named[name] for name in names}
    return dict(zip(names, named.values(), strict=True))


def _free_of_inputs(names: tuple[str, ...], spec: ModelSpec) -> tuple[str, ...]:
    """Output names that no input has: ONNX files allow a name only once."""
    inputs = {tensor.name for tensor in spec.inputs}
    wanted = tuple(tensor.name for tensor in spec.outputs)
    ordered = wanted or names
    return tuple(f"{name}_out" if name in inputs else name for name in ordered)


def _failed_call(err: Exception, feed: Feed) -> UserError:
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in feed.items())
    place = code_place(err)
    where = f" ({place})" if place else ""
    return UserError(f"The module fails on {shapes}: {type(err).__name__}: {err}{where}.")
