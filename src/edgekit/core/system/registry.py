"""Registries: literal tables of plug-ins, extended by entry points, listed without importing anything."""

from __future__ import annotations

import importlib
import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from edgekit.core.errors import EnvironmentFault, MissingExtra, unknown
from edgekit.core.system.installation import pip_install, requirement_of

# Kinds that are not listed by `edgekit list KINDs`.
_LISTED_BY: Final = {"device": "edgekit devices list", "exporter": "edgekit list recipes"}


@dataclass(frozen=True)
class Plugin:
    """One registered name: the location of its object, and a summary in one line."""

    name: str
    location: str
    summary: str = ""


@dataclass(frozen=True)
class Registry:
    """Names of one kind. `get` imports only the requested one; a broken plug-in does not affect the others.

    Args:
        kind: What is registered, in the users' words: "model", "backend".
        table: `{name: (location, summary)}` with location `package.module:object`.
        group: Entry-point group through which third parties add names.
    """

    kind: str
    table: Mapping[str, tuple[str, str]]
    group: str = ""
    _cache: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def plugins(self) -> Mapping[str, Plugin]:
        """Every known name in order; edgekit's own names win over entry points."""
        found = {name: self._own(name) for name in self.table}
        for entry in _entry_points(self.group):
            found.setdefault(entry.name, Plugin(entry.name, entry.value, f"plug-in {entry.value}"))
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.plugins)

    def __contains__(self, name: object) -> bool:
        return name in self.table or name in self.plugins

    def check(self, name: str) -> None:
        """Raise UserError for an unknown name, with the nearest one; import nothing."""
        if name not in self:
            hint = _LISTED_BY.get(self.kind, f"edgekit list {self.kind}s")
            raise unknown(self.kind, name, self.plugins, hint=hint)

    def get(self, name: str) -> Any:
        """The registered object.

        Raises:
            UserError: The name is unknown; the message suggests the nearest one.
            MissingExtra: The plug-in needs a package that is not installed.
            EnvironmentFault: The plug-in cannot be imported; the message contains its error.
        """
        self.check(name)
        if name not in self._cache:
            self._cache[name] = self._load(self._own(name) if name in self.table else self.plugins[name])
        return self._cache[name]

    def problem(self, name: str) -> str:
        """Why `name` cannot be used here, or an empty text; for listings."""
        try:
            self.get(name)
        except EnvironmentFault as err:
            return err.message
        return ""

    def _own(self, name: str) -> Plugin:
        return Plugin(name, *self.table[name])

    def _load(self, plugin: Plugin) -> Any:
        module, _, attribute = plugin.location.partition(":")
        try:
            return operator.attrgetter(attribute)(importlib.import_module(module))
        except EnvironmentFault:
            raise
        except ModuleNotFoundError as err:
            wanted = requirement_of(err.name or "")
            if not wanted:
                raise self._broken(plugin, err) from err
            raise MissingExtra(
                f"The {self.kind} '{plugin.name}' needs the package '{err.name}', which is not installed.",
                hint=pip_install([wanted]),
            ) from err
        # Foreign code may raise anything while it is imported, and even exit.
        except (Exception, SystemExit) as err:
            raise self._broken(plugin, err) from err

    def _broken(self, plugin: Plugin, err: BaseException) -> EnvironmentFault:
        return EnvironmentFault(f"The {self.kind} '{plugin.name}' is broken: {type(err).__name__}: {err}.")


def _entry_points(group: str) -> Iterable[Any]:
    """What third parties have registered. Read only if no own name matches: it reads every package."""
    import importlib.metadata

    return importlib.metadata.entry_points(group=group) if group else ()
