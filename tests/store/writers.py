"""Processes that write one store, each printing what it does, and what a store has after some were killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

from edgekit.store.database import open_store
from edgekit.store.reading import all_runs, newest, run_of

_BEGUN = ">"
# The longest wait before a kill: several writes.
_LATEST_S = 0.1
# Prints that it begins to keep a run, and then the number of the run.
_WRITE = """
import sys
from tests.store.made_reports import profiled
from edgekit.store.database import open_store
from edgekit.store.recording import record

place, writer, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open_store(place) as store:
    for run in range(runs):
        report = profiled(run, model=f"model-{run % 3}", p50_s=(1 + writer) * 1e-3)
        print(">", flush=True)
        print(record(store, report)[0], flush=True)
"""


def writer(place: str, number: int, runs: int) -> subprocess.Popen[str]:
    """A process that keeps so many runs, which differ from those of every other `number`."""
    command = [sys.executable, "-c", _WRITE, place, str(number), str(runs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kept_by(said: str) -> list[int]:
    """The numbers that a writer printed completely."""
    return [int(line) for line in said.splitlines(keepends=True) if line.endswith("\n") and line.strip() != _BEGUN]


@dataclass(frozen=True)
class Killed:
    """What a writer had printed when it was killed, and whether it was in the middle of a write."""

    numbers: list[int]
    is_inside: bool


def killed(place: str, number: int, chance: random.Random) -> Killed:
    """Start a writer, and kill it at a moment after its first run."""
    process = writer(place, number, 1_000_000)
    assert process.stdout is not None
    begin = process.stdout.readline() + process.stdout.readline()
    time.sleep(chance.uniform(0, _LATEST_S))
    process.send_signal(signal.SIGKILL)
    said = begin + process.communicate()[0]
    return Killed(kept_by(said), said.endswith(f"{_BEGUN}\n"))


def lacking(place: str, said: list[int]) -> list[str]:
    """What is wrong with a store: runs that were said to be kept and are not there, and runs that are not whole."""
    with open_store(place) as store:
        _, total = newest(store, limit=1)
        runs = [run_of(store, one.number) for one in all_runs(store)]
    there = {run.number for run, _ in runs}
    found = [f"run {number} is lost" for number in sorted(set(said) - there)]
    found += [f"run {run.number} is not whole" for run, kept in runs if not (kept and run.latency and run.verdicts)]
    return found + ([f"{len(runs)} of {total} runs are read"] if len(runs) != total else [])
