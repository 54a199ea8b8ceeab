"""Alternating launches of two sides, pair by pair, until their ratio is known or the time box ends."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from statistics import median
from typing import Final

import msgspec

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.job import Job
from edgekit.core.measurement import Launch, Measurement
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import Direction, Interval, direction, required_n
from edgekit.core.statistics.paired import LOOKS, MIN_PAIRS, paired_p_value, paired_ratio
from edgekit.core.system.progress import Progress
from edgekit.devices.device import Device
from edgekit.flows.measuring.cells import Cell, measurement_of
from edgekit.flows.measuring.idle_core import on_an_idle_core
from edgekit.flows.measuring.summary import replaced, to_launch

DEFAULT_PAIRS: Final = 8
DEFAULT_TIME_BOX_S: Final = 45.0
# Steady calls of each launch: a median needs few values, and many short launches tell more than few long ones.
DEFAULT_TIME_LIMIT_S: Final = 0.1
_MIN_VALUES: Final = 11
_ATTEMPTS: Final = 2


@dataclass(frozen=True)
class Protocol:
    """How two sides are compared.

    Args:
        pairs: Pairs before the first look, and between looks.
        time_box_s: No pair starts that would end after it.
        minimum_effect: The smallest ratio that counts, 0.03 for 3 %.
        alpha: Probability of a false alarm over all looks.
        seed: Of the order in each pair.
        wait_s: How long to wait for a device that another user uses.
    """

    pairs: int = DEFAULT_PAIRS
    time_box_s: float = DEFAULT_TIME_BOX_S
    minimum_effect: float = 0.03
    alpha: float = 0.05
    seed: int = 0
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        if self.pairs < MIN_PAIRS:
            raise UserError(
                f"launches: expected at least {MIN_PAIRS}, got {self.pairs}.", hint=f"--launches {DEFAULT_PAIRS}"
            )


@dataclass
class Paired:
    """The pairs so far: every launch of both sides, and the medians of the pairs that count."""

    sides: tuple[list[Launch], list[Launch]] = field(default_factory=lambda: ([], []))
    medians: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    launched: int = 0
    repeated: int = 0
    ratio: Interval | None = None
    says: Direction = "inconclusive"

    def look(self, protocol: Protocol) -> bool:
        """Compute ratio and direction; True when they decide."""
        if len(self.medians[0]) < MIN_PAIRS:
            return False
        self.ratio = paired_ratio(*self.medians, alpha=protocol.alpha)
        self.says = direction(self.ratio, protocol.minimum_effect)
        return self.says != "inconclusive"


def compare_pairs(
    cells: Sequence[Cell],
    device: Device,
    protocol: Protocol,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    kept: list[Measurement] | None = None,
) -> tuple[Compared, tuple[Measurement, Measurement]]:
    """Measure two cells alternately: `protocol.pairs` pairs, a look, and more pairs while it is inconclusive.

    Args:
        kept: Takes the measurements of both, as far as they got, when an error ends it; empty without a whole pair.
    """
    emulated = device.emulated or device.facts().emulated
    found = Paired()
    try:
        _add_in_turn(found, cells, device, protocol, progress, clock)
    except EdgekitError:
        if kept is not None and found.medians[0]:
            kept += _both(cells, found, emulated)
        raise
    both = _both(cells, found, emulated)
    return compared(found, both), both


def _both(cells: Sequence[Cell], found: Paired, emulated: bool) -> tuple[Measurement, Measurement]:
    return (
        measurement_of(cells[0], found.sides[0], emulated),
        measurement_of(cells[1], found.sides[1], emulated),
    )


def _add_in_turn(
    found: Paired,
    cells: Sequence[Cell],
    device: Device,
    protocol: Protocol,
    progress: Progress,
    clock: Callable[[], float],
) -> None:
    jobs = [short_job(cell.job) for cell in cells]
    rng = random.Random(protocol.seed)  # noqa: S311  an order, not a secret
    leaders: list[int] = []
    start = clock()
    for done in count(1):
        # Which side goes first is balanced over every two pairs, and shuffled.
        leaders = leaders or rng.sample([0, 1], 2)
        _add_pair(found, jobs, cells[0], device, leaders.pop())
        progress.step(done, LOOKS * protocol.pairs, "pairs of launches")
        spent = clock() - start
        is_last = done == LOOKS * protocol.pairs or spent * (done + 1) / done > protocol.time_box_s
        if (done % protocol.pairs == 0 or is_last) and (found.look(protocol) or is_last):
            return


def _add_pair(found: Paired, jobs: Sequence[Job], cell: Cell, device: Device, leader: int) -> None:
    """One pair; where the scheduler disturbed it, one more, and the less disturbed of the two counts."""
    attempts: list[tuple[Launch, Launch]] = []
    while not attempts or (len(attempts) < _ATTEMPTS and _disturbed(attempts[-1])):
        attempts.append(_launched(found, jobs, cell, device, leader))
    found.repeated += len(attempts) - 1
    chosen = min(attempts, key=_disturbed)
    for place, launch in enumerate(chosen):
        found.medians[place].append(median(launch.values))
    for attempt in attempts:
        for place, launch in enumerate(attempt):
            found.sides[place].append(launch if attempt is chosen else replaced(launch))


def _launched(found: Paired, jobs: Sequence[Job], cell: Cell, device: Device, leader: int) -> tuple[Launch, Launch]:
    order = found.launched
    found.launched += 2
    with on_an_idle_core(cell.target):
        first = to_launch(order, device.measure(jobs[leader]))
        second = to_launch(order + 1, device.measure(jobs[1 - leader]))
    return (first, second) if leader == 0 else (second, first)


def _disturbed(pair: tuple[Launch, Launch]) -> int:
    return sum(launch.disturbed for launch in pair)


def short_job(job: Job) -> Job:
    """The job with as few values as a median needs."""
    return msgspec.structs.replace(job, min_values=_MIN_VALUES)


def compared(found: Paired, both: tuple[Measurement, Measurement]) -> Compared:
    """What the latest look at the pairs says of the measurements of both sides."""
    a, b = both
    emulated = a.emulated or b.emulated
    enough = all(len(launch.values) >= required_n(0.5) for side in found.sides for launch in side)
    if found.ratio is None or emulated or not enough:
        few = f"only {len(found.medians[0])} pairs were launched, {MIN_PAIRS} are needed"
        reason = (
            "emulated: not the latency of a device" if emulated else few if enough else "too few values in a launch"
        )
        nothing = Estimate(None, reason=reason)
        return Compared(a.target, a.artifact, b.artifact, nothing, None, "inconclusive", sizes=a.sizes)
    ratio = found.ratio
    return Compared(
        a.target,
        a.artifact,
        b.artifact,
        Estimate(ratio.value, ratio.low, ratio.high, ratio.n),
        ratio.detectable,
        found.says,
        medians_a=tuple(found.medians[0]),
        medians_b=tuple(found.medians[1]),
        repeated=found.repeated,
        p_value=paired_p_value(*found.medians),
        sizes=a.sizes,
    )
