"""Tables and sentences at the width of a terminal: words stay whole, also where a table does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

# From here on a table is drawn as one; narrower terminals get a block per row if it does not fit.
WIDTH: Final = 80
_NARROWEST: Final = 30
_GAP: Final = "  "


def width_of(console: Console) -> int:
    """The columns to use."""
    return max(console.width, _NARROWEST)


def print_table(console: Console, table: Table) -> None:
    """The table without trailing spaces; on a narrow terminal where it does not fit, one block per row."""
    width = width_of(console)
    whole = Measurement.get(console, console.options.update(width=10 * WIDTH), table).maximum
    if width < WIDTH and whole > width:
        say(console, *_blocks(table))
        return
    for segments in console.render_lines(table, console.options.update(width=width), pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


def say(console: Console, *lines: Text, indent: int = 0) -> None:
    """Lines, wrapped at words; what continues one begins two columns further in."""
    for line in lines:
        inside = indent + len(line.plain) - len(line.plain.lstrip(" "))
        rest = line[inside - indent :] if line.plain.strip() else Text("")
        parts = rest.wrap(console, width_of(console) - inside - 2) or [Text("")]
        for place, part in enumerate(parts):
            part.rstrip()
            console.print(Text(" " * (inside + 2 * (place > 0))) + part, soft_wrap=True)


def _blocks(table: Table) -> Iterator[Text]:
    """The first cell of each row, and under it the others, each line behind what its header says."""
    heads = [_lines(column.header) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        first, *others = (_lines(cell) for cell in cells)
        yield from first
        for head, cell in zip(heads[1:], others, strict=True):
            for name, line in zip_longest(head, cell, fillvalue=Text("")):
                if line.plain.strip():
                    yield Text.assemble(_GAP, (name.plain.strip(), "dim"), " " if name.plain.strip() else "", line)


def _lines(cell: object) -> list[Text]:
    text = cell if isinstance(cell, Text) else Text(str(cell))
    return list(text.split("\n", allow_blank=True))
