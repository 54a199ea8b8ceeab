"""Simulates measurements whose truth is known, and counts how often edgekit's own statistics are right.

python -m benchmarks.simulations             print the tables
python -m benchmarks.simulations --page      write them into docs/measuring.md and docs/compare.md

Every draw has a fixed seed, so that the same numpy gives the same tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.figures.figure_rows import record
from benchmarks.simulations.comparisons import comparison_table, mean_table
from benchmarks.simulations.hard_kinds import FEWEST, SLOW_LAUNCHES, covered, hard_table
from benchmarks.simulations.precision import precision_table

DOCS: Final = Path(__file__).parents[2] / "docs"
END: Final = "<!-- end of the table -->"
TABLES: Final[dict[str, tuple[str, Callable[[], str]]]] = {
    "hard": ("measuring.md", hard_table),
    "precision": ("measuring.md", precision_table),
    "comparisons": ("compare.md", comparison_table),
    "means": ("compare.md", mean_table),
}


def main() -> None:
    """Print or write each table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="TABLE", help=f"{', '.join(TABLES)}; all if none is given")
    parser.add_argument("--page", action="store_true", help="write the tables into the pages")
    options = parser.parse_args()
    for name in options.names or TABLES:
        table = TABLES[name][1]()
        print(f"{table}\n", flush=True)
        if options.page:
            write(name, table)
        if name == "hard":
            record("interval.slow_launches", 100 * covered(SLOW_LAUNCHES, *FEWEST))


def begin(name: str) -> str:
    """The mark before a table in its page."""
    return f"<!-- python -m benchmarks.simulations --page {name} -->"


def shown(name: str) -> str:
    """The table as it stands in its page."""
    _, _, rest = (DOCS / TABLES[name][0]).read_text().partition(begin(name))
    return rest.partition(END)[0].strip()


def write(name: str, table: str) -> None:
    """Replace the table between its marks."""
    page = DOCS / TABLES[name][0]
    before, mark, rest = page.read_text().partition(begin(name))
    if not mark:
        raise SystemExit(f"'{page.name}' has no mark of '{name}'.")
    page.write_text(f"{before}{mark}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
