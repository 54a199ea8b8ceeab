"""The table of the scores in docs/reliability.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.mutation.rows import Row, read
from benchmarks.mutation.subjects import SUBJECTS

PAGE: Final = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN: Final = "<!-- from here to the end mark: python -m benchmarks.mutation --page -->"
END: Final = "<!-- end -->"


def write_page() -> None:
    """Replace the table between the marks."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}")


def table() -> str:
    """One row a subject, from the rows that are kept."""
    head = "| subject | modules | mutants | tried | found | the same | score | first score |"
    lines = (_line(name, list(rows)) for name in SUBJECTS if (rows := read(name).values()))
    return "\n".join([head, "|---" * 8 + "|", *lines])


def _line(name: str, rows: Sequence[Row]) -> str:
    mutants, tried, found, same = (
        sum(counts) for counts in zip(*((one.mutants, one.tried, one.found, one.same) for one in rows), strict=True)
    )
    first = sum(row.first * row.tried for row in rows) / tried
    modules = ", ".join(f"`{Path(row.module).stem}`" for row in rows)
    scores = f"{100 * found / (tried - same):.1f} % | {100 * first:.1f} %"
    return f"| {name} | {modules} | {mutants} | {tried} | {found} | {same} | {scores} |"
