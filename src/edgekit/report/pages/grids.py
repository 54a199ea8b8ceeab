"""Tables of a page: cells, and columns that are left out if they have nothing to say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgekit.core.units import ABSENT
from edgekit.core.verdict import Verdict


@dataclass(frozen=True)
class GridCell:
    """One cell: its text, what is under it in small letters, the verdict that it is coloured by, where it leads."""

    text: str = ABSENT
    under: str = ""
    verdict: Verdict | None = None
    is_code: bool = False
    link: str = ""

    @property
    def is_empty(self) -> bool:
        """True if it says nothing."""
        return self.text in ("", ABSENT) and not self.under and self.verdict is None


@dataclass(frozen=True)
class Column:
    """One column: its title, and whether it has words, which start at its left edge, instead of figures."""

    title: str
    is_text: bool = False


@dataclass(frozen=True)
class Grid:
    """A table with the name that a screen reader gives it; the first cell of a row is its header.

    `marked` are the numbers of the rows that stand out.
    """

    name: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[GridCell, ...], ...]
    marked: frozenset[int] = frozenset()


def grid(name: str, columns: Sequence[Column], rows: Iterable[Sequence[GridCell]], marked: Iterable[int] = ()) -> Grid:
    """The table without columns in which no cell says anything; the first one always stays."""
    found = [tuple(row) for row in rows]
    kept = [place for place in range(len(columns)) if not place or any(not row[place].is_empty for row in found)]
    return Grid(
        name,
        tuple(columns[place] for place in kept),
        tuple(tuple(row[place] for place in kept) for row in found),
        frozenset(marked),
    )
