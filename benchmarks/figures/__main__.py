"""Every figure that has a goal, next to that goal, in one table; exits with 1 if one is missed without an entry.

python -m benchmarks.figures                 the table, from rows that are there
python -m benchmarks.figures --run           first every benchmark that takes minutes at most
python -m benchmarks.figures --run start     first those of figures whose name begins so
python -m benchmarks.figures --keep --page   keep the newest rows in the repository, and write docs/performance.md

Rows that are measured go to .bench/rows.jsonl. Campaigns that take hours left rows in the repository; their commands
are in benchmarks/figures/goals.py. An entry is a heading with the name of the figure in docs/performance.md.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.figures.figure import Benchmark
from benchmarks.figures.figure_rows import ROOT, keep
from benchmarks.figures.figure_table import all_rows, entries, judged, kept_rows, table, write_page
from benchmarks.figures.goals import FIGURES


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="with --run: beginnings of the names of figures")
    parser.add_argument("--run", action="store_true", help="run the benchmarks first")
    parser.add_argument("--keep", action="store_true", help="keep the newest rows in the repository")
    parser.add_argument("--page", action="store_true", help="write the table into docs/performance.md")
    parser.add_argument("--data", default=os.environ.get("EDGEKIT_DATA", ""), help="folder of data sets")
    given = parser.parse_args(arguments)
    broken = [one.command for one in chosen(given.names) if not ran(one, given.data)] if given.run else []
    if given.keep:
        keep()
    if given.page:
        write_page(judged(FIGURES, kept_rows(), entries()))
    found = judged(FIGURES, all_rows(), entries())
    print("\n".join(table(found)))
    for command in broken:
        print(f"failed: python -m {command}")
    return int(bool(broken) or any(one.is_unexplained for one in found))


def chosen(names: Sequence[str]) -> Iterator[Benchmark]:
    """The benchmarks of these figures, each once; without names all that take minutes."""
    figures = [one for key, one in FIGURES.items() if not names or key.startswith(tuple(names))]
    for benchmark in dict.fromkeys(one.benchmark for one in figures):
        if benchmark is not None and (names or benchmark.is_short):
            yield benchmark


def ran(benchmark: Benchmark, data: str) -> bool:
    """Run a benchmark to its end; False if it failed. One that needs data is left out without them."""
    print(f"== {benchmark.command} (about {benchmark.minutes:g} min)", flush=True)
    if benchmark.needs_data and not data:
        print("left out: EDGEKIT_DATA names no folder of data sets", flush=True)
        return True
    begun = time.perf_counter()
    words = benchmark.command.format(data=data).split(" ")
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=False)
    print(f"{time.perf_counter() - begun:.0f} s\n", flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
