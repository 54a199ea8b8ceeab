"""The table of figures next to their goals, and what makes it fail."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.figures.figure import Figure
from benchmarks.figures.figure_rows import KEPT, MEASURED, ROOT, FigureRow, newest, read
from benchmarks.figures.stored_campaigns import stored

PAGE: Final = ROOT / "docs" / "performance.md"
BEGIN: Final = "<!-- python -m benchmarks.figures --page -->"
END: Final = "<!-- end of the table -->"
_LINE: Final = "{:<24}{:>13}{:>11}  {:<12}{}"


@dataclass(frozen=True)
class Judged:
    """A figure with its newest row, and whether docs/performance.md has an entry for it."""

    figure: Figure
    row: FigureRow | None
    has_entry: bool

    @property
    def is_missed(self) -> bool:
        return self.row is not None and not self.figure.is_met(self.row.value)

    @property
    def is_unexplained(self) -> bool:
        """Missed, and no entry says why: this makes `make bench` fail."""
        return self.is_missed and not self.has_entry

    @property
    def verdict(self) -> str:
        """One word or two for the table."""
        if self.row is None:
            return "not measured"
        return "met" if not self.is_missed else "missed" if self.has_entry else "MISSED"


def kept_rows() -> list[FigureRow]:
    """What campaigns left, and what is kept in the repository."""
    return [*stored(), *read(KEPT)]


def all_rows() -> list[FigureRow]:
    """The same with what was measured here."""
    return [*kept_rows(), *read(MEASURED)]


def entries(page: Path = PAGE) -> set[str]:
    """The figures that have a heading of their own in docs/performance.md."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return set(re.findall(r"^#+ `([\w.]+)`$", text, re.MULTILINE))


def judged(figures: Mapping[str, Figure], rows: Collection[FigureRow], explained: Collection[str]) -> list[Judged]:
    """Every figure, with the newest of its rows."""
    found = newest(rows)
    return [Judged(figure, found.get(key), key in explained) for key, figure in figures.items()]


def table(judgements: Collection[Judged]) -> Iterator[str]:
    """A line a figure, at most 80 characters wide, and a summary."""
    yield _LINE.format("figure", "measured", "goal", "verdict", "when, commit")
    for one in judgements:
        value, when = "", ""
        if one.row is not None:
            value, when = one.figure.shown(one.row.value), f"{one.row.created[5:10]} {one.row.commit}"
        yield _LINE.format(one.figure.key, value, one.figure.limit, one.verdict, when).rstrip()
    missed = [one for one in judgements if one.is_missed]
    unmeasured = [one for one in judgements if one.row is None]
    met = len(judgements) - len(missed) - len(unmeasured)
    yield ""
    yield f"{met} met, {len(missed)} missed, {len(unmeasured)} not measured of {len(judgements)} figures"
    yield from remarks(judgements)


def remarks(judgements: Collection[Judged]) -> Iterator[str]:
    """What a reader has to do: explain a missed figure, or remove an entry that no longer holds."""
    for one in judgements:
        key = one.figure.key
        if one.is_unexplained:
            yield f"{key} is missed: docs/performance.md needs an entry '### `{key}`'"
        elif one.has_entry and one.verdict == "met":
            yield f"{key} is met: its entry in docs/performance.md says that it is missed"


def page_table(judgements: Collection[Judged]) -> Iterator[str]:
    """The same in Markdown, with the words of each figure."""
    yield "| figure | what | measured | goal | | when |"
    yield "|---|---|---:|---:|---|---|"
    for one in judgements:
        value, when = "", ""
        if one.row is not None:
            value, when = one.figure.shown(one.row.value), f"{one.row.created[:10]}, {one.row.commit}"
        key = f"[`{one.figure.key}`](#{one.figure.key.replace('.', '')})" if one.has_entry else f"`{one.figure.key}`"
        yield f"| {key} | {one.figure.what} | {value} | {one.figure.limit} | {one.verdict} | {when} |"


def write_page(judgements: Collection[Judged], page: Path = PAGE) -> None:
    """Replace the table of the page between its marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(page_table(judgements))
    page.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}", encoding="utf-8")
