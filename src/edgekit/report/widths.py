"""Tables and sentences at the width of a terminal: words stay whole, also where a table does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

from rich.cells import cell_len
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
    """The table without trailing spaces, and without a broken word: one block per row where it does not fit."""
    width = width_of(console)
    whole = Measurement.get(console, console.options.update(width=10 * WIDTH), table).maximum
    if whole > width and (width < WIDTH or not _fit(table, width)):
        say(console, *_blocks(table))
        return
    for segments in console.render_lines(table, console.options.update(width=width), pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


def _fit(table: Table, width: int) -> bool:
    """Give every column room for its longest word, and the rest to the widest; False if there is not enough."""
    texts = [[line for cell in (one.header, *one.cells) for line in _lines(cell)] for one in table.columns]
    most = [max((line.cell_len for line in lines), default=0) for lines in texts]
    least = [
        full if column.no_wrap else max((cell_len(word) for line in lines for word in line.plain.split()), default=0)
        for column, lines, full in zip(table.columns, texts, most, strict=True)
    ]
    least = [max(each, column.min_width or 0) for each, column in zip(least, table.columns, strict=True)]
    left = width - sum(least) - len(_GAP) * (len(least) - 1)
    if left < 0:
        return False
    for column, low, high in zip(table.columns, least, most, strict=True):
        wanted = sum(max(high - low, 0) for low, high in zip(least, most, strict=True))
        column.width = low + (min(high - low, left * (high - low) // wanted) if high > low else 0)
    return True


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
