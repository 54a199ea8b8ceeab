"""Whether a store of runs loses anything: several writers at once, and writers that are killed while they write.

python -m benchmarks.store                            8 writers of 200 runs, then 50 kills; SQLite, then PostgreSQL
python -m benchmarks.store --writers 4 --runs 50 --kills 10

Every writer is a process of its own that begins with a store that does not exist yet. Only kills between the beginning
and the end of a write count, the others are repeated. After each kill the store is opened, every run is read with its
whole report, and each run whose number a writer had printed must be there.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.store.postgresql import postgresql
from tests.store.writers import kept_by, killed, lacking, writer


def main() -> int:
    """Print a row for each kind of store; 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--kills", type=int, default=50)
    asked = parser.parse_args()
    print("| store | runs written at once | lost | took | kills inside a write | kills between | lost or damaged |")
    print("|---|---|---|---|---|---|---|")
    wrong: list[str] = []
    for name, place, other in _places():
        began = time.monotonic()
        lost = _together(place, asked.writers, asked.runs)
        took = time.monotonic() - began
        between, damaged = _kills(other, asked.kills)
        written = f"{asked.writers} x {asked.runs}"
        cells = (name, written, len(lost), f"{took:.0f} s", asked.kills, between, len(damaged))
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
        wrong += [*lost, *damaged]
    print("\n".join(wrong))
    return 1 if wrong else 0


def _places() -> Iterator[tuple[str, str, str]]:
    """The name of a kind of store, and places of two new ones."""
    with tempfile.TemporaryDirectory() as folder:
        yield "SQLite", str(Path(folder, "together.sqlite")), str(Path(folder, "killed.sqlite"))
    with postgresql() as server:
        yield "PostgreSQL", server.create("together"), server.create("killed")


def _together(place: str, writers: int, runs: int) -> list[str]:
    """What is wrong after several writers ended that began together."""
    processes = [writer(place, number, runs) for number in range(writers)]
    said = [number for process in processes for number in kept_by(process.communicate()[0])]
    failed = [f"a writer ended with {process.returncode}" for process in processes if process.returncode]
    missing = writers * runs - len(set(said))
    return failed + ([f"{missing} runs were not kept"] if missing else []) + lacking(place, said)


def _kills(place: str, wanted: int) -> tuple[int, list[str]]:
    """How many kills hit no write, and what was wrong after those that did."""
    chance = random.Random(0)
    said: list[int] = []
    wrong: list[str] = []
    inside = between = 0
    while inside < wanted:
        found = killed(place, inside + between, chance)
        said += found.numbers
        inside, between = inside + found.is_inside, between + (not found.is_inside)
        wrong += lacking(place, said)
    return between, wrong


if __name__ == "__main__":
    raise SystemExit(main())
