"""Rounds of launches: every cell once per round, in a new random order, until enough is known."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

import msgspec

from edgekit.core.errors import DeviceUnavailable, EdgekitError, Interrupted, UserError
from edgekit.core.job import Job, JobResult
from edgekit.core.measurement import Launch
from edgekit.core.statistics.intervals import MIN_LAUNCHES, launch_interval
from edgekit.core.system.progress import Progress
from edgekit.devices.device import Device
from edgekit.flows.measuring.cells import DEFAULT_TIME_LIMIT_S, Cell
from edgekit.flows.measuring.summary import replaced, to_launch

DEFAULT_TIME_BOX_S: Final = 60.0
# A sample that is narrow by luck rarely stays so: one look alone leaves intervals that cover 91 %, two 93 to 95 %.
_LOOKS: Final = 2
_ATTEMPTS: Final = 2
# What no other launch on the device can get past.
ENDS_ALL: Final = (DeviceUnavailable, Interrupted)


@dataclass(frozen=True)
class Rounds:
    """How artifacts are profiled.

    Args:
        launches: Fresh processes per cell; with `precision`, the minimum.
        time_limit_s: Seconds that each launch is timed after warm-up.
        precision: Half-width of the median's interval, as a share of it, at which rounds end; None for a fixed count.
        time_box_s: With `precision`, no round starts that would end after it.
        seed: Of the order in each round.
        wait_s: How long to wait for a device that another user uses.
    """

    launches: int = MIN_LAUNCHES + 1
    time_limit_s: float = DEFAULT_TIME_LIMIT_S
    precision: float | None = None
    time_box_s: float = DEFAULT_TIME_BOX_S
    seed: int = 0
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        if self.launches < 1:
            raise UserError(f"launches: expected at least 1, got {self.launches}.", hint="--launches 6")
        if self.precision is not None and not 0 < self.precision < 1:
            raise UserError(
                f"precision: expected above 0 and below 100 %, got {self.precision}.", hint="--precision 1%"
            )

    @property
    def least(self) -> int:
        """Launches of each cell before the first look at what is known."""
        return self.launches if self.precision is None else max(self.launches, MIN_LAUNCHES + 1)

    @property
    def described(self) -> str:
        """How each cell is measured, as text."""
        count = f"{self.least} fresh processes, interleaved, each timed for {self.time_limit_s:g} s after warm-up"
        if self.precision is None:
            return count
        goal = f"the median is known to ±{100 * self.precision:g} %"
        return f"{count}; more, for at most {self.time_box_s:g} s, until {goal}"


class Launched(NamedTuple):
    """The result of one process, and the launch recorded from it."""

    launch: Launch
    result: JobResult


def launch_in_rounds(
    cells: Sequence[Cell],
    devices: Mapping[str, Device],
    rounds: Rounds,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    failed: dict[Cell, EdgekitError] | None = None,
) -> dict[Cell, list[Launched]]:
    """Launches by cell, in the order they ran; a disturbed launch that was repeated is marked as replaced.

    Args:
        failed: Takes the error of each cell that could not be launched, which is then left out; a device that is lost
            ends all rounds. Without it, errors are raised.
    """
    # Interleaving spreads slow phases of the machine over all cells; the shuffle breaks any period in them.
    rng = random.Random(rounds.seed)  # noqa: S311  an order, not a secret
    found: dict[Cell, list[Launched]] = {cell: [] for cell in cells}
    start, done, order, narrow = clock(), 0, 0, 0
    while not _is_enough(done, narrow, clock() - start, rounds):
        for cell in rng.sample(list(cells), len(cells)):
            # Outputs are compared once; later launches only take times.
            job = cell.job if done == 0 else msgspec.structs.replace(cell.job, outputs="")
            try:
                found[cell] += launch_job(job, devices[cell.target.device], order)
            except EdgekitError as err:
                if failed is None:
                    raise
                if isinstance(err, ENDS_ALL):
                    failed.update(dict.fromkeys(cells, err))
                    return found
                failed[cell] = err
                continue
            order = found[cell][-1].launch.order + 1
            progress.step(min(order, rounds.least * len(cells)), rounds.least * len(cells), cell.described)
        cells = [cell for cell in cells if not failed or cell not in failed]
        if not cells:
            break
        done += 1
        is_known = done >= rounds.least and all(is_narrow(found[cell], rounds) for cell in cells)
        narrow = narrow + 1 if is_known else 0
    return found


def half_width(launches: Sequence[Launched]) -> float | None:
    """Half of the interval of the median over the launches that count, as a share of the median; None for too few."""
    medians = [median(one.launch.values) for one in launches if one.launch.values and not one.launch.replaced]
    if len(medians) < MIN_LAUNCHES:
        return None
    interval = launch_interval(medians)
    return (interval.high - interval.low) / 2 / interval.value


def is_narrow(launches: Sequence[Launched], rounds: Rounds) -> bool:
    """True if the median is known to within `precision`, or no precision is set."""
    width = half_width(launches)
    return rounds.precision is None or (width is not None and width <= rounds.precision)


def _is_enough(done: int, narrow: int, spent_s: float, rounds: Rounds) -> bool:
    if done < rounds.least:
        return False
    is_over = spent_s * (done + 1) / done > rounds.time_box_s
    return rounds.precision is None or narrow >= _LOOKS or is_over


def launch_job(job: Job, device: Device, order: int) -> list[Launched]:
    """One launch; where the scheduler disturbed it, one more, and the less disturbed of the two counts.

    The decision rests on what the scheduler says, never on the times.
    """
    attempts: list[Launched] = []
    while not attempts or (len(attempts) < _ATTEMPTS and attempts[-1].launch.disturbed):
        result = device.measure(job)
        attempts.append(Launched(to_launch(order + len(attempts), result), result))
    chosen = min(attempts, key=lambda one: one.launch.disturbed)
    return [one if one is chosen else one._replace(launch=replaced(one.launch)) for one in attempts]
