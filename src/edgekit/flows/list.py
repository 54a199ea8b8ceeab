"""`edgekit list`: the names that other commands accept, without importing what they name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from edgekit.core.errors import unknown
from edgekit.core.recipe import ALIASES, RECIPES, REFUSED
from edgekit.core.refusals import REFUSALS
from edgekit.core.reports.setup.list import OWN, Item, ListReport, ModelItem, ModelListReport
from edgekit.core.system.registry import Registry

# What `kinds` returns, as one more list for completion.
KINDS: Final = "kinds"


def listing(kind: str) -> ListReport | ModelListReport:
    """The names of one kind: models, recipes, backends, datasets or devices.

    A broken plug-in is listed with its error as `problem`.

    Raises:
        UserError: Unknown kind; the nearest is suggested.
    """
    if kind not in kinds():
        raise unknown("list", kind, kinds(), hint="edgekit list models")
    if kind == "models":
        return ModelListReport(items=tuple(_models()))
    return ListReport(kind=kind, items=tuple(_LISTS[kind]()))


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
    from edgekit.devices.inventory import inventory_file, read_inventory

    yield from _registered(DEVICES)
    for name, entry in read_inventory().items():
        yield Item(name, f"{entry.transport}, {entry.address}", str(inventory_file()))


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
