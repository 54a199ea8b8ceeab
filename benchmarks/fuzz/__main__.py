"""Tries mutants of every file that edgekit reads from elsewhere, and counts how its commands end.

python -m benchmarks.fuzz --mutants 100000 --seed 1 --rows rows.jsonl     all kinds, each by its share
python -m benchmarks.fuzz onnx zip --mutants 500 --seed 2                 some kinds
python -m benchmarks.fuzz onnx --seed 1 --only 1234 --keep folder         one mutant again, and its files

A mutant is determined by its kind, its seed and its number. Commands are the real ones. Wrong are: an exit code that
docs/exit-codes.md does not list for a file (70 first of all), a traceback, a signal, 20 seconds, 2 GiB, a file that is
written, changed or left outside of the output, a program that is started, a connection. Ranges that have a row are not
tried again. A model that says that it never ends is interrupted, and counted apart.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.fuzz.campaign import append, key_of, ranges, read_rows, row_of, warm
from benchmarks.fuzz.children import alone, case_of
from benchmarks.fuzz.kinds import KINDS
from benchmarks.fuzz.trial import Ground

from edgekit.core.system.durable.owners import temporary_folder


def main() -> int:
    """Print each problem, and how many mutants of each kind there were."""
    options = _options()
    kinds = options.kinds or list(KINDS)
    if options.only is not None:
        return _once(kinds[0], options.seed, options.only, options.keep)
    done = {key_of(row) for row in read_rows(options.rows)}
    todo = ranges(kinds, options.mutants, options.seed, done)
    children = []
    for worker in range(min(options.workers, len(todo))):
        if not (pid := os.fork()):
            _work(todo[worker :: options.workers], options.rows)
            os._exit(0)
        children.append(pid)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1]]
    rows = [row for row in read_rows(options.rows) if row["kind"] in kinds and row["seed"] == options.seed]
    print(summary(rows), flush=True)
    return 1 if failed or any(row["problems"] for row in rows) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []], help="Which kinds; all if none is given.")
    parser.add_argument("--mutants", type=int, default=1000, help="Of all kinds together.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, default=Path("fuzz-rows.jsonl"), help="Where each range is a line.")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="The number of one mutant.")
    parser.add_argument("--keep", type=Path, help="With --only: a folder for its files.")
    return parser.parse_args()


def _work(todo: Iterable[Any], rows: Path) -> None:
    rows = rows.absolute()
    with temporary_folder("edgekit-fuzz-") as folder:
        ground = Ground(Path(folder))
        ground.settle()
        todo = list(todo)
        warm(ground, list(dict.fromkeys(one.kind for one in todo)))
        for one in todo:
            append(rows, row_of(one, ground, lambda text: print(text, file=sys.__stderr__, flush=True)))
        os.chdir("/")


def _once(kind: str, seed: int, index: int, keep: Path | None) -> int:
    case = case_of(kind, KINDS[kind][0], seed, index)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        case.lay_out(keep)
    with temporary_folder("edgekit-fuzz-") as folder:
        ground = Ground(Path(folder))
        ground.settle()
        ended = alone(case, ground)
        os.chdir("/")
    print("edgekit", *case.arguments)
    print(ended.told, f"exit code {ended.code}, {ended.cpu_s:.1f} s, {ended.peak_bytes >> 20} MiB", sep="\n")
    print(*ended.problems, sep="\n")
    return 1 if ended.problems else 0


def summary(rows: Iterable[dict[str, Any]]) -> str:
    """A line for each kind: mutants, exit codes, problems."""
    counts: Counter[str] = Counter()
    codes: dict[str, Counter[str]] = {}
    problems: Counter[str] = Counter()
    for row in rows:
        kind = row["kind"]
        counts[kind] += row["count"]
        problems[kind] += len(row["problems"])
        codes.setdefault(kind, Counter()).update(row["codes"])
    lines = [
        f"{kind}: {count} mutants, exit codes {dict(sorted(codes[kind].items()))}, {problems[kind]} problems"
        for kind, count in counts.items()
    ]
    return "\n".join([*lines, f"all: {sum(counts.values())} mutants, {sum(problems.values())} problems"])


if __name__ == "__main__":
    sys.exit(main())
