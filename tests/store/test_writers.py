"""Several processes write one store, and some are killed in the middle."""

from __future__ import annotations

import random

import pytest
from tests.store.writers import kept_by, killed, lacking, writer

from edgekit.store.database import open_store
from edgekit.store.reading import all_runs

WRITERS = 4
RUNS = 15


@pytest.mark.slow
def test_writers_of_a_new_store_lose_nothing(place: str) -> None:
    processes = [writer(place, number, RUNS) for number in range(WRITERS)]

    said = [kept_by(process.communicate(timeout=240)[0]) for process in processes]

    assert [process.returncode for process in processes] == [0] * WRITERS
    with open_store(place) as store:
        kept = sorted(one.number for one in all_runs(store))
    assert kept == sorted(number for numbers in said for number in numbers)
    assert len(kept) == WRITERS * RUNS
    assert lacking(place, kept) == []


@pytest.mark.slow
def test_a_killed_writer_leaves_a_store_with_whole_runs(place: str) -> None:
    chance = random.Random(5)
    said: list[int] = []

    # The last run of each writer may be kept without its number having been printed.
    for number in range(4):
        said += killed(place, number, chance).numbers

    assert len(said) >= 4
    assert lacking(place, said) == []
