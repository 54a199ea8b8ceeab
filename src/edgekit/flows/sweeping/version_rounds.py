"""The launches of a sweep on one device: in rounds, with all versions of a combination next to one another."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import msgspec

from edgekit.core.errors import DeviceError, EdgekitError
from edgekit.core.statistics.paired import LOOKS
from edgekit.core.system.progress import Progress
from edgekit.core.verdict import Verdict, worst
from edgekit.devices.device import Device
from edgekit.flows.fleet.profiled import ITS_OWN
from edgekit.flows.measuring.idle_core import on_an_idle_core
from edgekit.flows.measuring.measure import check_parity
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.measuring.rounds import ENDS_ALL, launch_job
from edgekit.flows.sweeping.backend_versions import BackendVersion
from edgekit.flows.sweeping.combinations import Combination, Version
from edgekit.flows.sweeping.kept_launches import SweepResults
from edgekit.flows.sweeping.version_verdicts import judge_pairs, pairs_of

_MINUTE_S: Final = 60.0


@dataclass
class VersionRounds:
    """Rounds of launches on one device, with those that earlier runs have kept.

    Every combination is launched `protocol.pairs` times in each version, in a random order of combinations and of their
    versions, which follow one another: what disturbs the machine for a while then hits all of them. Like in
    `edgekit compare` there are up to four looks, and only the combinations that are still undecided are launched on.

    Args:
        groups: The versions of each combination.
        devices: How to launch each backend version; None is the installed one.
        failed: Takes the error of each version that could not be launched.
    """

    groups: Sequence[Sequence[Version]]
    devices: Mapping[BackendVersion | None, Device]
    results: SweepResults
    protocol: Protocol
    progress: Progress
    emulated: bool = False
    failed: dict[Version, EdgekitError] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _open: list[Sequence[Version]] = field(default_factory=list)
    _made: int = 0
    _left: int = 0
    _start: float = 0.0

    def run(self) -> None:
        """Launch what is missing. A version that fails is left out; a device that is lost ends it.

        Raises:
            DeviceUnavailable, Interrupted: The device is lost, or the work has to end.
            DiskFull, EnvironmentFault: A launch cannot be kept.
        """
        self._start = self.clock()
        self._open = list(self.groups)
        for number in count():
            if number % self.protocol.pairs == 0:
                self._look(number)
            if not self._open:
                return
            rng = random.Random(f"{self.protocol.seed} {number}")  # noqa: S311  an order, not a secret
            for group in rng.sample(self._open, len(self._open)):
                self._launch(rng.sample(list(group), len(group)), number)

    @property
    def unfinished(self) -> tuple[Version, ...]:
        """The versions that were still to be launched when an error ended the rounds."""
        return tuple(one for group in self._open for one in self._alive(group))

    def _look(self, number: int) -> None:
        """Leave out what is decided after `number` rounds, and count the launches up to the next look."""
        if number:
            undecided = self._undecided(number) if number < LOOKS * self.protocol.pairs else set()
            self._open = [group for group in self._open if group[0].of in undecided]
        wanted = set(range(number, number + self.protocol.pairs))
        alive = [one for group in self._open for one in self._alive(group)]
        self._left = sum(len(wanted - self.results.rounds(one.key)) for one in alive)

    def _undecided(self, number: int) -> set[Combination]:
        """The combinations with a pair that more launches can decide."""
        pairs = [pair for group in self.groups for pair in pairs_of(self._alive(group))]
        said = judge_pairs(pairs, self.results, self.protocol, emulated=self.emulated, before=number)
        return {
            pair.a.of
            for pair, one in zip(pairs, said, strict=True)
            if one.compared.says == "inconclusive" and one.compared.ratio.value is not None
        }

    def _alive(self, group: Sequence[Version]) -> list[Version]:
        return [one for one in group if one not in self.failed and one.key not in self.results.wrong]

    def _launch(self, group: Sequence[Version], number: int) -> None:
        """One round of one combination: the versions that were not launched in it yet."""
        missing = [one for one in self._alive(group) if number not in self.results.rounds(one.key)]
        if not missing:
            return
        with on_an_idle_core(group[0].of.target):
            for one in missing:
                self._launch_one(one, number)
                self._made += 1
                self._left -= 1
                self.progress.step(self._made, self._made + self._left, f"{one.described}; {self._remaining()}")

    def _launch_one(self, one: Version, number: int) -> None:
        """Launch and keep it; outputs are compared once, later launches only take times."""
        is_first = not self.results.rounds(one.key)
        job = one.cell.job if is_first else msgspec.structs.replace(one.cell.job, outputs="")
        try:
            launched = launch_job(job, self.devices[one.engine], self.results.lines)
            _refuse_another(one, launched[-1].result.engine)
            is_wrong = is_first and _is_wrong(one)
        except ITS_OWN as err:
            if isinstance(err, ENDS_ALL):
                raise
            self.failed[one] = err
            return
        self.results.add(one.key, one.described, number, launched, is_wrong=is_wrong)

    def _remaining(self) -> str:
        """How long the launches up to the next look take, at the pace of this run so far."""
        seconds = (self.clock() - self._start) / self._made * self._left
        about = f"{seconds / _MINUTE_S:.0f} min" if seconds >= 2 * _MINUTE_S else f"{seconds:.0f} s"
        has_pairs = any(len(group) > 1 for group in self._open)
        return f"about {about} {'to the next evaluation' if has_pairs else 'left'}"


def _refuse_another(one: Version, engine: str) -> None:
    """Raise where a launch did not run in the version that was asked for."""
    if one.engine is not None and engine.split()[-1:] != [one.engine.version]:
        raise DeviceError(f"The launch ran in '{engine}' instead of '{one.engine}'.")


def _is_wrong(one: Version) -> bool:
    """Whether the outputs of a launch failed parity."""
    return worst(check.verdict for check in check_parity(one.of.found, one.cell)) is Verdict.FAIL
