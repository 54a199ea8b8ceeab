"""A run over ranges of mutants: what is done is not done again, and each range is one row."""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.children import STOPPED, alone, case_of, in_one_process, is_plain
from benchmarks.fuzz.kinds import COSTLY, KINDS
from benchmarks.fuzz.trial import Ended, Ground

RANGE: Final = 250
# Of kinds whose mutants start processes.
SHORT_RANGE: Final = 10
# Mutants of one process: the longer it lives, the fewer processes; the shorter, the less one depends on another.
BATCH: Final = 50
_WARM: Final = 25


@dataclass(frozen=True)
class Range:
    """Mutants of one kind and seed, by their numbers."""

    kind: str
    seed: int
    first: int
    count: int

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What the row of a range is found by."""
        return self.kind, self.seed, self.first, self.count


def ranges(kinds: Sequence[str], mutants: int, seed: int, done: set[tuple[str, int, int, int]]) -> list[Range]:
    """What is still to be tried so that there are `mutants` of these kinds together, each kind by its share."""
    whole = sum(KINDS[kind][1] for kind in kinds)
    found, share, end = [], 0.0, 0
    for kind in kinds:
        share, start = share + KINDS[kind][1], end
        end = round(mutants * share / whole)
        wanted = end - start
        size = SHORT_RANGE if kind in COSTLY else RANGE
        found += [Range(kind, seed, first, min(size, wanted - first)) for first in range(0, wanted, size)]
    # All kinds advance together, so that a run that is stopped has tried some of each.
    found.sort(key=lambda one: (one.first / (mutants * KINDS[one.kind][1]), one.kind))
    return [one for one in found if one.key not in done]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of earlier runs."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def key_of(row: dict[str, Any]) -> tuple[str, int, int, int]:
    """The range that a row is of."""
    return row["kind"], row["seed"], row["first"], row["count"]


def append(path: Path, row: dict[str, Any]) -> None:
    """Add a row in one write, so that several processes can."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, json.dumps(row).encode() + b"\n")
    finally:
        os.close(descriptor)


def warm(ground: Ground, kinds: Sequence[str]) -> None:
    """Import what the commands import, which is known from trying some in children."""
    for kind in kinds:
        if kind in COSTLY:
            continue
        for number in range(_WARM):
            for name in _modules_of(case_of(kind, KINDS[kind][0], -1, number), ground):
                try:
                    importlib.import_module(name)
                except Exception:  # noqa: BLE001 - what a command does without is not needed here either
                    continue
    gc.collect()
    gc.freeze()


def _modules_of(case: Case, ground: Ground) -> list[str]:
    """The modules that a command imports, apart from those that are here."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            null = os.open(os.devnull, os.O_RDWR)
            for number in range(3):
                os.dup2(null, number)
            ground.enter(case)
            before = set(sys.modules)
            _run(case)
            os.write(writer, " ".join(name for name in sys.modules if name not in before).encode()[:60_000])
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as found:
        names = found.read().decode().split(" ")
    os.waitpid(pid, 0)
    return [name for name in names if name and not name.startswith(("_cython", "cython_runtime"))]


def _run(case: Case) -> None:
    from edgekit.cli.main import run

    (case.call or (lambda: run(list(case.arguments))))()


def row_of(one: Range, ground: Ground, say: Callable[[str], None]) -> dict[str, Any]:
    """Try a range, and count how its commands ended."""
    codes: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    stopped: list[int] = []
    cpu_s, peak, start = 0.0, 0, time.monotonic()
    for index, case, ended in _all_ended(one, ground):
        codes[str(ended.code)] += 1
        cpu_s, peak = cpu_s + ended.cpu_s, max(peak, ended.peak_bytes)
        if ended.problems == (STOPPED,):
            stopped.append(index)
        elif ended.problems:
            found.append(
                {"index": index, "arguments": case.arguments, "problems": ended.problems, "told": ended.told[-600:]}
            )
            say(f"{one.kind} --seed {one.seed} --only {index}: {' '.join(case.arguments)}\n  {ended.problems}")
    counts = {"codes": dict(sorted(codes.items())), "problems": found, "stopped": stopped, "cpu_s": round(cpu_s, 1)}
    return {**asdict(one), **counts, "wall_s": round(time.monotonic() - start, 1), "peak_mib": peak >> 20}


def _all_ended(one: Range, ground: Ground) -> Iterator[tuple[int, Case, Ended]]:
    """How each mutant ended: alone if there was anything to say among others."""
    maker = KINDS[one.kind][0]
    cases = [(index, case_of(one.kind, maker, one.seed, index)) for index in range(one.first, one.first + one.count)]
    while cases:
        tried = list(zip(cases, in_one_process(cases[:BATCH], ground), strict=False))
        cases = cases[len(tried) :]
        # Only now is the folder free for a trial alone.
        for (index, case), (_, ended) in tried:
            yield index, case, ended if ended is not None and is_plain(ended) else _again(case, ground, ended)


def _again(case: Case, ground: Ground, before: Ended | None) -> Ended:
    """How a mutant ends alone; what was wrong among others is not forgotten."""
    ended = alone(case, ground)
    if before is None or ended.problems:
        return ended
    problems = tuple(f"among others only: {one}" for one in before.problems)
    return Ended(ended.code, problems, ended.cpu_s, ended.peak_bytes, before.told)
