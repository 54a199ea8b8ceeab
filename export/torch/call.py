"""Running a torch module: its inputs by name, its outputs by name, and the operators it calls. Runs in the worker."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from edgekit.core.errors import UserError
from edgekit.core.recipe import ATTENTION, COMPLEX, LOG_SPECTRUM
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, named, onnx_name
from edgekit.export.torch.flattening import flatten
from edgekit.export.torch.real_form import watched_complex
from edgekit.export.torch.untraceable import code_place
from edgekit.export.torch.watching import watched_functions

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

_ATTENDING: Final = named("torch", Trait.ATTENDS)
_PASSING: Final = named("torch", Trait.PASSES)
_LOGARITHMS: Final = named("torch", Trait.LOGARITHM)
_CHANNELS: Final = (1, 3, 4)
_LAYERS: Final = named("torch", Trait.LAYER)


def tensors(feed: Feed, spec: ModelSpec) -> dict[str, Tensor]:
    """The feed as torch tensors of the spec's dtypes, in the spec's order."""
    torch = need("torch", extra="export")
    return {
        tensor.name: torch.from_numpy(feed[tensor.name].copy()).to(getattr(torch, tensor.dtype))
        for tensor in spec.inputs
    }


def call_arguments(module: Module, spec: ModelSpec) -> tuple[str, ...]:
    """Where each input goes: the parameter of `forward` with its name; an empty text means by position.

    Inputs go by keyword if `forward` has a parameter for every name, whatever its order. `state.0` and `batch.image`
    are parts of one argument, a tuple or dictionary; so are the inputs that no parameter is named after, if exactly one
    required parameter is left for them. A single input of another name is the first parameter if that waits for one.
    """
    names = tuple(tensor.name for tensor in spec.inputs)
    by_position = tuple("" for _ in names)
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return by_position
    known = {one.name: one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    required = {name for name, one in known.items() if one.default is one.empty}
    heads = {name.partition(".")[0] for name in names}
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters)
    if heads <= set(known) or (takes_any and required <= heads and not _waits_for_one(parameters, heads)):
        return names
    left = [known[name] for name in sorted(required - heads)]
    if len(left) == 1 and not any(one.kind is one.VAR_POSITIONAL for one in parameters):
        return _together(names, known, left[0])
    return by_position


def _waits_for_one(parameters: Iterable[inspect.Parameter], heads: Collection[str]) -> bool:
    """Whether the only input is the first parameter, None by default, as in `forward(pixel_values=None, **others)`."""
    given = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    named = {one.name for one in given} & set(heads)
    return len(heads) == 1 and not named and bool(given) and given[0].default is None


def _together(names: tuple[str, ...], known: Collection[str], parameter: inspect.Parameter) -> tuple[str, ...]:
    """The names that are no parameters, as parts of `parameter`, where they do not fit by position."""
    rest = [name for name in names if name not in known]
    is_mapping = re.search(r"dict|Mapping", str(parameter.annotation), re.IGNORECASE) is not None
    if (len(rest) == len(names) <= len(known) and not is_mapping) or (len(rest) == 1 and not is_mapping):
        return tuple("" for _ in names)
    parts = {name: name if is_mapping else str(place) for place, name in enumerate(rest)}
    return tuple(f"{parameter.name}.{parts[name]}" if name in parts else name for name in names)


def call(module: Module, arguments: tuple[str, ...], values: Iterable[Tensor]) -> object:
    """What the module returns for `values`, passed as `call_arguments` says."""
    pairs = list(zip(arguments, values, strict=True))
    grouped: dict[str, dict[str, Tensor]] = {}
    for key, value in pairs:
        head, _, part = key.partition(".")
        grouped.setdefault(head, {})[part] = value
    keywords = {head: _argument(parts) for head, parts in grouped.items() if head}
    return module(*(value for key, value in pairs if not key), **keywords)


def _argument(parts: dict[str, Tensor]) -> Tensor | tuple[Tensor, ...] | dict[str, Tensor]:
    """The whole argument, a tuple of parts that are called by their places, or a dictionary."""
    if "" in parts:
        return parts[""]
    return tuple(parts.values()) if all(key.isdecimal() for key in parts) else parts


def positional(module: Module, spec: ModelSpec) -> Module:
    """The module behind a wrapper that takes the inputs by position, in the spec's order, and returns a flat tuple."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)

    class Positional(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Inputs in the spec's order."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *feed: Tensor) -> tuple[Tensor, ...]:
            return tuple(flatten(call(self.module, arguments, feed)).values())

    made: Module = Positional()
    return made.eval()


def run_module(module: Module, spec: ModelSpec, feed: Feed) -> Feed:
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


def operators_of(module: Module, spec: ModelSpec, feed: Feed) -> frozenset[str]:
    """ONNX names of the operators that decide how this module is quantized; `Softmax*MatMul` means attention."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)
    found = _Deciding()
    with torch.no_grad(), watched_functions(found.note), watched_complex() as is_complex:
        call(module, arguments, tensors(feed, spec).values())
    return frozenset(found.operators | ({COMPLEX} if is_complex() else set()))


class _Deciding:
    """The operators that were called, and whether a softmax was multiplied by something."""

    def __init__(self) -> None:
        self.operators: set[str] = set()
        self._took_logarithm = False
        # Kept alive, so that an id stands for one tensor only.
        self._weights: list[object] = []

    def note(self, name: str, args: tuple[object, ...], _: object, result: object) -> None:
        """Take in one call of a function."""
        self.operators |= {onnx_name("torch", name)} - {""}
        if self._took_logarithm and name in _LAYERS:
            self.operators.add(LOG_SPECTRUM)
        self._took_logarithm |= name in _LOGARITHMS
        touched = any(value is kept for value in _flat(args) for kept in self._weights)
        if touched and name in _ATTENDING:
            self.operators.add(ATTENTION)
        if name == "softmax" or (touched and name in _PASSING):
            self._weights.append(result)


def _flat(args: Iterable[object]) -> Iterator[object]:
    for value in args:
        if isinstance(value, (tuple, list)):
            yield from value
        else:
            yield value


def _renamed(named: dict[str, Tensor], spec: ModelSpec) -> dict[str, Tensor]:
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
    return UserError(f"The module fails on {shapes}: {type(err).__name__}: {err}{where}.{_advice(feed)}")


def _advice(feed: Feed) -> str:
    """What to save where an input looks like images as files have them: channels last, or whole numbers to 255.

    It is part of the message, because the worker reports the failures of many calls as texts.
    """
    for name, array in feed.items():
        last = array.ndim == 4 and array.shape[3] in _CHANNELS and array.shape[1] not in _CHANNELS
        steps = ".transpose(0, 3, 1, 2)" if last else ""
        steps += ".astype('float32') / 255" if array.ndim == 4 and array.dtype.name == "uint8" else ""
        if steps:
            return f" Images as files have them need another form: numpy.savez(FILE, {name}={name}{steps})"
    return ""
