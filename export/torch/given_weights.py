"""Weights for a module: which of the tensors in a file are its own, whatever the training script wrapped them in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgekit.core.errors import UserError
from edgekit.export.stored_tensors import Tensors, read_tensors

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

_SHOWN: Final = 3
# A file may lack one of a pair of tied tensors, but not all of the first names.
_ANCHORS: Final = 4
# Segments of names that wrappers of torch add: compile, FSDP, activation checkpoints, fabric, then DataParallel.
_WRAPPERS: Final = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module")
_PARALLEL: Final = (*_WRAPPERS, "module")
# Counted by batch norms in training, and by the average of weights; neither is used when a network runs.
_COUNTERS: Final = ("num_batches_tracked", "n_averaged")
# Of several that fit, the usual ones; averages of weights come before all.
_USUAL: Final = ("", "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
_SAVE: Final = "safetensors.torch.save_file(module.state_dict(), 'weights.safetensors')"


@dataclass(frozen=True)
class FittingTensors:
    """Tensors for a module, and where they are: at `place` in the file, with names that start with `prefix`.

    `left` are the names of other tensors at that place; `wrappers` the segments that were removed inside names.
    """

    place: str
    prefix: str
    tensors: Tensors
    left: tuple[str, ...] = ()
    wrappers: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Place and prefix in one text."""
        return ".".join(part for part in (self.place, self.prefix.rstrip(".")) if part)

    @property
    def rank(self) -> int:
        """Smaller is more usual: averages, then the known names in their order, then others."""
        words = re.split(r"[._]", self.label)
        if "ema" in words or "swa" in words:
            return -1
        known = [one for one in words if one in ("model", "module", "net", "network", "weights", "params")]
        if self.label in _USUAL:
            return _USUAL.index(self.label)
        return len(_USUAL) if known or not self.prefix else len(_USUAL) + 1


def load_weights(module: Module, path: Path) -> tuple[str, ...]:
    """Give a module the weights in a file, and return what a reader should know of it: where they were, what is left.

    Raises:
        UserError: They do not match the module, or several sets of them do; lists the names.
        ModelUnreadable: As in `read_tensors`.
    """
    found, wanted = read_tensors(path), _tensors_of(module)
    fits = sorted((fit for place, one in found.items() for fit in _fits(place, one, wanted)), key=lambda fit: fit.rank)
    if not fits:
        raise _mismatch(path, found, wanted)
    fit = fits[0]
    if len(fits) > 1 and fits[1].rank == fit.rank:
        raise _ambiguous(path, fits)
    module.load_state_dict(fit.tensors, strict=False)
    return tuple(_notes(path, fit, fits[1:]))


def _tensors_of(module: Module) -> Tensors:
    """What a module wants; an extra state that is no tensor is its own."""
    return {name: one for name, one in module.state_dict().items() if hasattr(one, "data_ptr")}


def _fits(place: str, tensors: Tensors, wanted: Tensors) -> Iterator[FittingTensors]:
    """The ways in which `tensors` are those that are wanted; the plainest comes first and ends the search."""
    for wrappers in ((), _WRAPPERS, _PARALLEL):
        names = {name: _without(name, wrappers) for name in tensors}
        removed = tuple(one for one in wrappers if any(one in name.split(".") for name in tensors))
        if wrappers and (not removed or len(set(names.values())) < len(names)):
            continue
        fits = [
            fit
            for prefix in _prefixes(names.values(), wanted)
            if (fit := _fit(place, prefix, {names[name]: one for name, one in tensors.items()}, wanted, removed))
        ]
        if fits:
            yield from fits[:1] if not fits[0].prefix else fits
            return


def _fit(
    place: str, prefix: str, tensors: Tensors, wanted: Tensors, wrappers: tuple[str, ...]
) -> FittingTensors | None:
    own = {name[len(prefix) :]: one for name, one in tensors.items() if name.startswith(prefix)}
    if _problems(own, wanted):
        return None
    left = tuple(name for name in tensors if not name.startswith(prefix) and not name.endswith(_COUNTERS))
    return FittingTensors(place, prefix, {name: one for name, one in own.items() if name in wanted}, left, wrappers)


def _without(name: str, segments: Sequence[str]) -> str:
    return ".".join(part for part in name.split(".") if part not in segments)


def _prefixes(names: Iterable[str], wanted: Mapping[str, Tensor]) -> list[str]:
    """What stands before one of the first wanted names, and nothing at all; the shortest first."""
    anchors = [name for name in wanted if not name.endswith(_COUNTERS)][:_ANCHORS]
    found = {name.removesuffix(anchor) for name in names for anchor in anchors if f".{name}".endswith(f".{anchor}")}
    return sorted({"", *found}, key=lambda one: (len(one), one))


def _problems(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    missing = [name for name in wanted if name not in given and not name.endswith(_COUNTERS)]
    missing = [name for name in missing if not _is_tied(name, given, wanted)]
    return [
        *_listing("missing", missing),
        *_listing("unexpected", [name for name in given if name not in wanted and not name.endswith(_COUNTERS)]),
        *_listing("with a different shape", _misshapen(wanted, given)),
    ]


def _is_tied(name: str, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    """Whether the module has this tensor under another name as well, which is given: files keep it once."""
    own = wanted[name]
    return any(
        other in given and one.data_ptr() == own.data_ptr() and one.shape == own.shape and own.numel()
        for other, one in wanted.items()
        if other != name
    )


def _misshapen(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    return [
        f"{name} {tuple(given[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in given and given[name].shape != tensor.shape
    ]


def _mismatch(path: Path, found: Mapping[str, Tensors], wanted: Tensors) -> UserError:
    """The error for the set of tensors that comes nearest to what is wanted."""
    ways = [
        ({name[len(prefix) :]: one for name, one in tensors.items() if name.startswith(prefix)}, place, prefix)
        for place, tensors in found.items()
        for prefix in _prefixes(tensors, wanted)
    ]
    given, place, prefix = max(ways, key=lambda way: len(way[0].keys() & wanted.keys()))
    where = "".join([f" '{place}'" if place else "", f" without the prefix '{prefix}'" if prefix else ""])
    listing = "".join(f"\n  {problem}" for problem in _problems(given, wanted))
    return UserError(f"Weights '{path}'{where} do not match the module:{listing}", hint=_SAVE)


def _ambiguous(path: Path, fits: Sequence[FittingTensors]) -> UserError:
    labels = ", ".join(f"'{fit.label}'" for fit in fits)
    fit = fits[0]
    keys = "".join(f"[{key!r}]" for key in fit.place.split(".") if key)
    names = f"{{k.removeprefix({fit.prefix!r}): v for k, v in found.items() if k.startswith({fit.prefix!r})}}"
    lines = (
        "import torch",
        f"found = torch.load('{path}', map_location='cpu', weights_only=True){keys}",
        f"torch.save({names if fit.prefix else 'found'}, 'weights.pt')",
    )
    return UserError(
        f"Weights '{path}' contain several sets that match the module: {labels}.",
        hint="Save the one you want in Python, e.g.:" + "".join(f"\n  {line}" for line in lines),
    )


def _notes(path: Path, fit: FittingTensors, others: Sequence[FittingTensors]) -> Iterator[str]:
    removed = [repr(one) for one in (fit.prefix, *(f"{wrapper}." for wrapper in fit.wrappers)) if one]
    if fit.place or removed:
        place = f" '{fit.place}' of" if fit.place else ""
        names = f", with {' and '.join(removed)} removed from their names" if removed else ""
        yield f"the weights are{place} '{path.name}'{names}"
    if others:
        yield f"'{path.name}' contains further weights that fit: {', '.join(repr(one.label) for one in others)}"
    yield from (f"of '{path.name}': {text}" for text in _listing("tensors not used", list(fit.left)))


def _listing(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return [f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"] if names else []
