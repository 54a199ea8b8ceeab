"""Whether the interval covers the truth where its own width ends the measurement, as in `profile --precision`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from tests.flows.scripted import Scripted, fake_model

from edgekit.core.statistics.intervals import launch_interval
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.core.system.progress import Silent
from edgekit.core.target import Target
from edgekit.flows.measuring.cells import Cell, job_for
from edgekit.flows.measuring.rounds import Launched, Rounds, is_narrow, launch_in_rounds
from edgekit.flows.opening.artifacts import opened

MEASUREMENTS: Final = 2_500
LEVEL: Final = 1e-3
_TARGET: Final = Target("scripted")


class LaunchNoise(NamedTuple):
    """The log of a launch's median, around 0 on average."""

    name: str
    draw: Callable[[np.random.Generator], float]


NOISES: Final = (
    LaunchNoise("normal, 1 %", lambda rng: 0.01 * rng.standard_normal()),
    LaunchNoise("normal, 2 %", lambda rng: 0.02 * rng.standard_normal()),
    LaunchNoise("heavy tails (Student's t of 4 degrees of freedom), 1 %", lambda rng: 0.01 * rng.standard_t(4)),
    LaunchNoise("skewed (exponential), 2 %", lambda rng: 0.02 * (rng.standard_exponential() - 1)),
    LaunchNoise("0.5 %, and half of the launches 4 % slower", lambda rng: _two_levels(rng, share=0.5, slow=0.04)),
)


def _two_levels(rng: np.random.Generator, *, share: float, slow: float) -> float:
    return 0.005 * rng.standard_normal() + slow * (float(rng.random() < share) - share)


def precision_table() -> str:
    """Coverage and launches after one narrow look, and after two in a row."""
    head = "| noise per launch | one look: covered | launches | two looks: covered | launches |\n|---|---|---|---|---|"
    with temporary_folder() as name, opened(fake_model(Path(name) / "a.fake.json")) as found:
        artifact = found.artifacts[0]
        cell = Cell(found, artifact, _TARGET, job_for(found, artifact, _TARGET, Path(name), "out.npz", 0.1))
        return "\n".join([head, *(line(noise, cell) for noise in NOISES)])


def line(noise: LaunchNoise, cell: Cell) -> str:
    """One row of the table."""
    looks = [simulated(noise, cell, seed) for seed in range(MEASUREMENTS)]
    parts = []
    for place in range(2):
        covered = sum(look[place][0] for look in looks)
        launches = sum(look[place][1] for look in looks)
        parts.append(f"{100 * covered / MEASUREMENTS:.1f} % | {launches / MEASUREMENTS:.1f}")
    return f"| {noise.name} | {' | '.join(parts)} |"


def simulated(noise: LaunchNoise, cell: Cell, seed: int) -> tuple[tuple[bool, int], tuple[bool, int]]:
    """Whether the interval covers the truth, and after how many launches: at the first narrow look, and at the end."""
    rng, rounds = np.random.default_rng(seed), Rounds(precision=0.01, time_box_s=math.inf)
    device = Scripted(lambda number, job: LEVEL * math.exp(noise.draw(rng)))
    launches = launch_in_rounds([cell], {_TARGET.device: device}, rounds, Silent())[cell]
    medians = [one.launch.values[0] for one in launches]
    first = _narrow_at(launches, rounds)
    return _covers(medians[:first]), _covers(medians)


def _narrow_at(launches: list[Launched], rounds: Rounds) -> int:
    """The launches at the first look that was narrow."""
    return next(count for count in range(rounds.least, len(launches) + 1) if is_narrow(launches[:count], rounds))


def _covers(medians: list[float]) -> tuple[bool, int]:
    interval = launch_interval(medians)
    return interval.low <= LEVEL <= interval.high, len(medians)
