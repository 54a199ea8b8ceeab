"""`edgekit completion`: the scripts that complete words in a shell, and the words they offer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click
import msgspec

from edgekit.cli.common import Call, Command, common
from edgekit.cli.program import COMPLETE_VARIABLE, program

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# 1: first version.
COMPLETION_SCHEMA: Final = 1
SHELLS: Final = ("bash", "zsh", "fish", "powershell")


class CompletionDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The completion script of one shell."""

    shell: str
    script: str
    command: str = "completion"
    schema_version: int = COMPLETION_SCHEMA


@click.command(
    "completion",
    cls=Command,
    examples=[
        'eval "$(edgekit completion bash)"                       # in ~/.bashrc',
        'eval "$(edgekit completion zsh)"                        # in ~/.zshrc',
        "edgekit completion fish > ~/.config/fish/completions/edgekit.fish",
        "edgekit completion powershell | Out-String | iex        # in $PROFILE",
    ],
)
@click.argument("shell", type=click.Choice(SHELLS), metavar="SHELL", help="bash, zsh, fish or powershell.")
@common()
def command(call: Call, shell: str) -> None:
    """Print the script that completes edgekit's words in a shell."""
    document = CompletionDocument(shell=shell, script=_script(shell))
    call.answer(document, lambda: document.script)


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(program, {}, "edgekit", COMPLETE_VARIABLE)
    # Not complete.source(): for bash that starts bash, to warn of versions before 4.4, and fails where there is none.
    return complete.source_template % complete.source_vars()


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


def _items(kind: str) -> Iterable[tuple[str, str]]:
    from edgekit.flows.list import listing

    return [(item.name, item.summary) for item in listing(kind).items if not item.problem]
