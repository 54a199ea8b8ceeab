"""The part of a sweep on one device: its combinations, what they lack, and what was found of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from statistics import median
from typing import cast

from edgekit.core.errors import DeviceError, DeviceUnavailable, EdgekitError, Interrupted
from edgekit.core.facts import Facts
from edgekit.core.reports.report import Missing
from edgekit.core.reports.sweep import SweptCombination
from edgekit.core.system.progress import Progress
from edgekit.devices.device import Device
from edgekit.devices.local import LocalDevice
from edgekit.flows.fleet.holding import held_together, inability
from edgekit.flows.fleet.profiled import missing_of
from edgekit.flows.fleet.together import Stop
from edgekit.flows.measuring.cells import measurement_of
from edgekit.flows.measuring.pairs import Protocol
from edgekit.flows.measuring.summary import summarize
from edgekit.flows.opening.devices import open_device
from edgekit.flows.sweeping.backend_versions import BackendVersion
from edgekit.flows.sweeping.combinations import Combination, Version, versions_of
from edgekit.flows.sweeping.kept_launches import SweepResults
from edgekit.flows.sweeping.version_rounds import VersionRounds
from edgekit.flows.sweeping.version_verdicts import VersionPair, pairs_of


@dataclass
class DevicePart:
    """What one device measures of a sweep.

    Args:
        again: Launches of earlier runs do not count.
    """

    name: str
    combinations: Sequence[Combination]
    results: SweepResults
    protocol: Protocol
    time_limit_s: float
    again: bool = False
    facts: Facts = Facts()
    emulated: bool = False
    failed: dict[Version, EdgekitError] = field(default_factory=dict)
    _groups: list[tuple[Version, ...]] = field(default_factory=list)
    _earlier: dict[str, int] = field(default_factory=dict)
    _lost: EdgekitError | None = None
    _rounds: VersionRounds | None = None

    def run(self, folder: Path, progress: Progress, stop: Stop) -> None:
        """Measure what the results lack; a device that is not there or is lost costs only its own part.

        Args:
            folder: Takes the feeds and outputs of launches.

        Raises:
            EdgekitError: A launch cannot be kept, or a bug.
        """
        try:
            self._measure(folder, progress, stop)
        except (DeviceUnavailable, DeviceError, Interrupted) as err:
            self._lost = err

    def interrupt(self) -> None:
        """Say of what is not complete that Ctrl-C ended it."""
        self._lost = self._lost or Interrupted("Stopped by Ctrl-C.")

    @property
    def error(self) -> EdgekitError | None:
        """The first reason for which something is missing."""
        return next(iter(self.failed.values()), self._lost)

    @property
    def pairs(self) -> tuple[VersionPair, ...]:
        """The versions to compare: those that were launched and are not wrong."""
        sound = ([one for one in group if self._is_sound(one)] for group in self._groups)
        return tuple(pair for kept in sound for pair in pairs_of(kept))

    def rows(self) -> Iterator[SweptCombination]:
        """Each version that was launched, with its latency from all launches that count."""
        for one in chain.from_iterable(self._groups):
            kept = list(self.results.counted(one.key).values())
            if not kept:
                continue
            measured = measurement_of(one.cell, [each.launch for each in self.results.found[one.key]], self.emulated)
            ends = kept[0].line.result.before, kept[-1].line.result.after
            before, after = (self.facts if each == Facts() else each for each in ends)
            is_wrong = one.key in self.results.wrong
            yield SweptCombination(
                model=one.of.model,
                artifact=one.of.artifact.recipe,
                target=str(one.of.target),
                batch=one.of.batch,
                engine=str(one.engine or ""),
                key=one.key,
                launches=len(kept),
                earlier=self._earlier.get(one.key, 0),
                latency=None if is_wrong else summarize(measured, [each.line.result for each in kept], before, after),
                medians=tuple(median(each.launch.values) for each in kept),
                is_wrong=is_wrong,
            )

    def missing(self) -> Iterator[Missing]:
        """What could not be measured, or not completely, and why."""
        for one, err in self.failed.items():
            yield self._missing(one.of, err, one)
        if self._lost is not None and self._rounds is None:
            yield from (self._missing(of, self._lost) for of in self.combinations)
        elif self._lost is not None and self._rounds is not None:
            yield from (self._missing(one.of, self._lost, one) for one in self._rounds.unfinished)

    def _missing(self, of: Combination, err: EdgekitError, one: Version | None = None) -> Missing:
        name = f"{of.model} {of.artifact.recipe}" if one is None or one.engine is None else f"{of.model} {one.engine}"
        launches = 0 if one is None else len(self.results.rounds(one.key))
        return missing_of(name, str(of.target), err, batch=of.batch, launches=launches)

    def _is_sound(self, one: Version) -> bool:
        return one.key in self.results.found and one.key not in self.results.wrong

    def _measure(self, folder: Path, progress: Progress, stop: Stop) -> None:
        with ExitStack() as stack:
            device = stack.enter_context(open_device(self.name))
            engines = list(dict.fromkeys(chain.from_iterable(one.engines for one in self.combinations)))
            ways = [device, *(cast(Device, LocalDevice(packages=one.packages)) for one in engines)]
            launchers = stack.enter_context(held_together(ways, stop, wait_s=self.protocol.wait_s))
            self.facts = device.facts()
            self.emulated = device.emulated or self.facts.emulated
            self._prepare(folder)
            by_engine: Mapping[BackendVersion | None, Device] = dict(zip((None, *engines), launchers, strict=True))
            self._rounds = VersionRounds(
                self._able(device),
                by_engine,
                self.results,
                self.protocol,
                progress,
                emulated=self.emulated,
                failed=self.failed,
            )
            count = len(self.combinations)
            with progress.stage(f"measure {count} combination{'s' * (count > 1)} on {self.name}"):
                self._rounds.run()

    def _prepare(self, folder: Path) -> None:
        """Write the feeds of every combination, and look up what the results have of it."""
        for number, one in enumerate(self.combinations):
            place = folder / str(number)
            place.mkdir(parents=True)
            self._groups.append(versions_of(one, self.facts, place, time_limit_s=self.time_limit_s))
        keys = [one.key for one in chain.from_iterable(self._groups)]
        if self.again:
            self.results.forget(keys)
        self._earlier = {key: len(self.results.counted(key)) for key in keys}

    def _able(self, device: Device) -> list[tuple[Version, ...]]:
        """The groups that the device can run; the others have failed."""
        reasons = {group: inability(device, group[0].cell.job) for group in self._groups}
        self.failed.update({one: err for group, err in reasons.items() if err for one in group})
        return [group for group, err in reasons.items() if err is None]
