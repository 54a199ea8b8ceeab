"""`edgekit list`: the names that other commands take, without importing what they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from edgekit.core.errors import unknown
from edgekit.core.recipe import ALIASES, RECIPES, REFUSED
from edgekit.core.refusals import REFUSALS
from edgekit.core.reports.report import Estimate
from edgekit.core.system.registry import Registry

# 1: first version.
LISTING_SCHEMA: Final = 1
OWN: Final = "edgekit"


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One name. `origin` is `edgekit` or where a third party's object lives; `problem` is why it cannot be used."""

    name: str
    summary: str
    origin: str = OWN
    problem: str = ""


class ModelItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reference model. `macs` are multiplications of one sample, `quality` is that of the shipped weights on the
    test split, `weights` is `shipped` or what to do first and why; all that needs PyTorch is null for plug-ins.
    """

    name: str
    summary: str
    origin: str = OWN
    problem: str = ""
    task: str = ""
    parameters: int | None = None
    macs: int | None = None
    metric: str = ""
    floor: float | None = None
    quality: Estimate | None = None
    weights: str = ""


class ModelListing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All reference models, in order."""

    items: tuple[ModelItem, ...]
    kind: str = "models"
    command: str = "list"
    schema_version: int = LISTING_SCHEMA


class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All names of one kind, in order."""

    kind: str
    items: tuple[Item, ...]
    command: str = "list"
    schema_version: int = LISTING_SCHEMA


def listing(kind: str) -> Listing | ModelListing:
    """The names of one kind: models, recipes, backends, datasets or devices.

    A broken plug-in stays in the list with its error as `problem`.

    Raises:
        UserError: Another kind; the nearest is offered.
    """
    if kind not in kinds():
        raise unknown("list", kind, kinds(), hint="edgekit list models")
    if kind == "models":
        return ModelListing(items=tuple(_models()))
    return Listing(kind=kind, items=tuple(_LISTS[kind]()))


def kinds() -> tuple[str, ...]:
    """What can be listed."""
    return ("models", *_LISTS)


def _registered(registry: Registry) -> Iterable[Item]:
    for name, plugin in registry.plugins.items():
        if name in registry.table:  # edgekit's own are tested with it; importing them may load torch
            yield Item(name, plugin.summary)
        else:
            yield Item(name, plugin.summary, plugin.location, registry.problem(name))


def _models() -> Iterable[ModelItem]:
    from edgekit.train.listing import known
    from edgekit.train.registry import MODELS

    facts = known()
    for item in _registered(MODELS):
        if item.origin != OWN or item.name not in facts:
            yield ModelItem(item.name, item.summary, item.origin, item.problem)
            continue
        one = facts[item.name]
        yield ModelItem(
            item.name,
            one.summary,
            task=one.task,
            parameters=one.parameters,
            macs=one.macs,
            metric=one.metric,
            floor=one.floor,
            quality=one.quality,
            weights=one.weights,
        )


def _datasets() -> Iterable[Item]:
    from edgekit.train.data.registry import DATASETS

    return _registered(DATASETS)


def _backends() -> Iterable[Item]:
    from edgekit.runtime.backend import BACKENDS

    return _registered(BACKENDS)


def _devices() -> Iterable[Item]:
    from edgekit.devices.device import DEVICES

    return _registered(DEVICES)


def _recipes() -> Iterable[Item]:
    yield from (Item(name, summary) for name, summary in RECIPES.items())
    yield from (Item(name, f"short for {summary}") for name, summary in ALIASES.items())
    for name, code in REFUSED.items():
        reason, instead = REFUSALS[code]
        yield Item(name, f"use {instead.removeprefix('--to ')}", problem=f"refused: {reason}")


_LISTS: Final[dict[str, Callable[[], Iterable[Item]]]] = {
    "recipes": _recipes,
    "backends": _backends,
    "datasets": _datasets,
    "devices": _devices,
}
