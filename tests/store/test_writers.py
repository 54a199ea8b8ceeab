"""Several processes write one store, and some are killed in the middle."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from edgekit.store.database import open_store
from edgekit.store.reading import all_runs, newest, run_of

WRITERS = 4
RUNS = 15
# Prints the number of every run when it is kept.
_WRITE = """
import sys
from tests.store.made_reports import profiled
from edgekit.store.database import open_store
from edgekit.store.recording import record

place, writer, runs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for run in range(runs):
    with open_store(place) as store:
        print(record(store, profiled(run, model=f"model-{run % 3}", p50_s=(1 + writer) * 1e-3))[0], flush=True)
"""


def writer(place: str, number: int, runs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITE, place, str(number), str(runs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_writers_of_a_new_store_lose_nothing(place: str) -> None:
    processes = [writer(place, number, RUNS) for number in range(WRITERS)]

    said = [process.communicate(timeout=240)[0].split() for process in processes]

    assert [process.returncode for process in processes] == [0] * WRITERS
    with open_store(place) as store:
        kept = sorted(one.number for one in all_runs(store))
    assert kept == sorted(int(number) for numbers in said for number in numbers)
    assert len(kept) == WRITERS * RUNS


@pytest.mark.slow
def test_a_killed_writer_leaves_a_store_with_whole_runs(place: str) -> None:
    chance = random.Random(5)
    said: list[int] = []
    for number in range(4):
        process = writer(place, number, 10_000)
        assert process.stdout is not None
        said.append(int(process.stdout.readline()))
        time.sleep(chance.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
        said += [int(line) for line in process.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]

    with open_store(place) as store:
        _, total = newest(store, limit=1)
        runs = [run_of(store, one.number) for one in all_runs(store)]

    assert len(runs) == total
    # What was said to be kept is; the last run of each writer may be kept without its number having been printed.
    assert set(said) <= {run.number for run, _ in runs}
    assert all(kept and run.latency and run.verdicts for run, kept in runs)
