"""`edgekit completion`: the scripts that complete words in a shell."""

from __future__ import annotations

from typing import Final

import click

from edgekit.cli.common import Call, Command, common
from edgekit.cli.program import COMPLETE_VARIABLE, program
from edgekit.core.reports.setup.completion import CompletionReport

SHELLS: Final = ("bash", "zsh", "fish", "powershell")
# click's script drops the names before it lets bash offer files: 'build dig' offered nothing.
_BASH_FILES_ALONE: Final = """\
            COMPREPLY=()
            compopt -o default
"""
_BASH_FILES_TOO: Final = """\
            compopt -o filenames -o default
            COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
"""


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
    """Print the completion script for a shell."""
    document = CompletionReport(shell=shell, script=_script(shell))
    call.answer(document, lambda shown: shown.script, is_program=True)


def _script(shell: str) -> str:
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    complete = kind(program, {}, "edgekit", COMPLETE_VARIABLE)
    # Not complete.source(): for bash that starts bash, to warn of versions before 4.4, and fails where there is none.
    script: str = complete.source_template % complete.source_vars()
    return script.replace(_BASH_FILES_ALONE, _BASH_FILES_TOO) if shell == "bash" else script
