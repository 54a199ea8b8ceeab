"""Launches in turn: the order, the looks, what is done with disturbed ones, and when it ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.flows.scripted import Answer, Scripted, fake_model

from edgekit.core.errors import UserError
from edgekit.core.job import Job
from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared
from edgekit.core.system.progress import Silent
from edgekit.core.target import Target
from edgekit.flows.measuring.cells import Cell, job_for
from edgekit.flows.measuring.pairs import Protocol, compare_pairs
from edgekit.flows.opening.artifacts import opened

SCRIPTED = Target("scripted")


@pytest.fixture
def cells(tmp_path: Path) -> Iterator[list[Cell]]:
    paths = [fake_model(tmp_path / f"{name}.fake.json", offset=place) for place, name in enumerate("ab")]
    with opened(paths[0]) as a, opened(paths[1]) as b:
        yield [
            Cell(one, one.artifacts[0], SCRIPTED, job_for(one, one.artifacts[0], SCRIPTED, tmp_path, "", 0.1))
            for one in (a, b)
        ]


def noisy(effect: float, noise: float) -> Answer:
    rng = np.random.default_rng(0)

    def answer(number: int, job: Job) -> float:
        is_b = Path(job.artifact).name.startswith("b")
        return float(1e-3 * (effect if is_b else 1.0) * np.exp(rng.normal(0, noise)))

    return answer


def compared(
    cells: list[Cell], device: Scripted, protocol: Protocol | None = None, *, pair_s: float = 0.0
) -> tuple[Compared, tuple[Measurement, Measurement]]:
    ticks = itertools.count()
    return compare_pairs(cells, device, protocol or Protocol(), Silent(), clock=lambda: pair_s * next(ticks))


@pytest.mark.parametrize(
    ("effect", "noise", "says", "count"),
    [(1.0, 0.003, "equal", 8), (1.05, 0.003, "slower", 8), (0.9, 0.003, "faster", 8), (1.0, 0.2, "inconclusive", 32)],
)
def test_pairs_are_added_only_while_the_result_is_open(
    cells: list[Cell], effect: float, noise: float, says: str, count: int
) -> None:
    found, _ = compared(cells, Scripted(noisy(effect, noise)))

    assert (found.says, found.ratio.n) == (says, count)


def test_the_side_that_goes_first_is_balanced(cells: list[Cell]) -> None:
    device = Scripted(noisy(1.0, 0.003))

    compared(cells, device)

    firsts = [Path(job.artifact).name[0] for job in device.jobs[::2]]
    assert sorted(firsts) == ["a"] * 4 + ["b"] * 4
    assert [Path(one.artifact).name != Path(other.artifact).name for one, other in itertools.pairwise(device.jobs[:2])]


def test_no_pair_is_begun_that_would_end_after_the_time_box(cells: list[Cell]) -> None:
    found, _ = compared(cells, Scripted(noisy(1.0, 0.2)), Protocol(time_box_s=60.0), pair_s=6.0)

    assert (found.says, found.ratio.n) == ("inconclusive", 10)


def test_a_disturbed_pair_is_repeated_and_both_are_kept(cells: list[Cell]) -> None:
    def answer(number: int, job: Job) -> float:
        return 1e-3 * (2 if number == 4 else 1)

    found, both = compared(cells, Scripted(answer, switches={4: 100}))

    assert found.repeated == 1
    assert found.says == "equal"
    assert len(found.medians_a) == len(found.medians_b) == 8
    assert [len(one.launches) for one in both] == [9, 9]
    launches = [launch for one in both for launch in one.launches]
    assert sum(launch.disturbed for launch in launches) == 1
    assert sum("repeated: a second launch counts instead" in launch.notes for launch in launches) == 2
    assert sorted(launch.order for launch in launches) == list(range(18))


def test_a_machine_that_is_always_disturbed_ends_too(cells: list[Cell]) -> None:
    device = Scripted(noisy(1.0, 0.003), switches=dict.fromkeys(range(100), 100))

    found, _ = compared(cells, device)

    assert (found.says, found.repeated, len(device.jobs)) == ("equal", 8, 32)


def test_an_emulated_latency_is_none(cells: list[Cell]) -> None:
    found, _ = compared(cells, Scripted(noisy(1.0, 0.003), emulated=True))

    assert (found.says, found.ratio.value) == ("inconclusive", None)
    assert "emulated" in found.ratio.reason


def test_a_time_box_that_holds_too_few_pairs_says_so(cells: list[Cell]) -> None:
    found, _ = compared(cells, Scripted(noisy(1.0, 0.003)), Protocol(time_box_s=1.0), pair_s=6.0)

    assert (found.says, found.ratio.value) == ("inconclusive", None)
    assert found.ratio.reason == "only 1 pairs were launched, 5 are needed"


def test_fewer_than_five_pairs_are_refused() -> None:
    with pytest.raises(UserError, match="at least 5, got 4"):
        Protocol(4)
