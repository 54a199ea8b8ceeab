"""The words that completion offers for arguments and options."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def names(kind: str, *, files: bool = False) -> Complete:
    """Completion of names that `edgekit list KIND` shows, also behind a comma; with `files`, of paths as well."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        before, comma, last = incomplete.rpartition(",")
        found = [
            CompletionItem(f"{before}{comma}{name}", help=about)
            for name, about in _items(kind)
            if name.startswith(last)
        ]
        # An item of type "file" asks the shell itself for paths.
        return found + ([CompletionItem(incomplete, type="file")] if files else [])

    return complete


def targets() -> Complete:
    """Completion of targets, also behind a comma: devices, and behind `DEVICE/` the backends."""
    device, backend = names("devices"), names("backends")

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, slash, last = incomplete.rpartition("/")
        if not slash or "," in last:
            return device(context, parameter, incomplete)
        found = backend(context, parameter, last)
        for item in found:
            item.value = f"{before}/{item.value}"
        return found

    return complete


def _items(kind: str) -> Iterable[tuple[str, str]]:
    from edgekit.core.errors import EdgekitError
    from edgekit.flows.list import KINDS, kinds, listing

    if kind == KINDS:
        return [(name, "") for name in kinds()]
    try:
        return [(item.name, item.summary) for item in listing(kind).items if not item.problem]
    except EdgekitError:  # a file of the user that cannot be read: the command itself says so
        return []
