"""Every help page as one Markdown page: `python -m edgekit.cli.pages > docs/cli.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import click

from edgekit.cli.program import COMMANDS, Commands, program

# What click makes of a terminal of 80 columns.
COLUMNS: Final = 78
_HEAD: Final = """\
# Commands

Every page below is what `edgekit COMMAND --help` prints.

Results go to standard output, everything else to standard error. `--json` prints one document with `schema_version`
and `command`, also for errors. Exit codes: [exit-codes.md](exit-codes.md).

A setting comes from the first of these that has it: the flag, `EDGEKIT_NAME`, `edgekit.toml` (or `[tool.edgekit]` in
`pyproject.toml`) in this folder or the nearest one above, the user's own file, the default.
`edgekit config show --origin` shows which.
"""


def pages() -> str:
    """All help pages in Markdown, in the order of the table of commands."""
    rows = [f"| [`{name}`](#edgekit-{name}) | {summary} |" for name, (_, summary) in COMMANDS.items()]
    table = ["| command | does |", "|---|---|", *rows, ""]
    return "\n".join([_HEAD, *table, *_sections(program, click.Context(program, info_name="edgekit"))])


def _sections(group: Commands, parent: click.Context) -> Iterator[str]:
    """A section for each command of `group`, and for those below it."""
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(
            command, parent, info_name=name, terminal_width=COLUMNS, help_option_names=["-h", "--help"]
        )
        yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```\n"
        if isinstance(command, Commands):
            yield from _sections(command, context)


if __name__ == "__main__":
    sys.stdout.write(pages())
