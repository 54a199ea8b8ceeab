"""`edgekit compare`: two artifacts measured interleaved, or two reports or kept runs, and a verdict on their ratio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

import msgspec

from edgekit.core.errors import DeviceUnavailable, EdgekitError, Interrupted, UserError
from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.report import Missing, Report, is_report
from edgekit.core.system.documents import now
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.fleet.profiled import ITS_OWN, missing_of
from edgekit.flows.fleet.together import THREADS, Stop
from edgekit.flows.judging.comparison import compare_reports, read_report
from edgekit.flows.keeping.runs import kept_run
from edgekit.flows.measuring.file_differences import file_differences
from edgekit.flows.measuring.pairs import DEFAULT_PAIRS, DEFAULT_TIME_BOX_S, DEFAULT_TIME_LIMIT_S, Protocol
from edgekit.flows.measuring.sides import (
    SEPARATOR,
    Side,
    compare_sides,
    refuse_other_inputs,
    refuse_unopened,
    side_of,
)
from edgekit.flows.opening.artifacts import Opened, opened
from edgekit.flows.opening.devices import named_targets
from edgekit.flows.opening.repository import reproduction
from edgekit.flows.opening.versions import versions
from edgekit.flows.order import Order, door


@dataclass(frozen=True)
class ReportsOrder:
    """Two reports that were read and compared; nothing needs to be measured."""

    a: str
    b: str
    pairs: tuple[Compared, ...]
    settings: Settings
    command: str = "compare"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per pair."""
        return tuple(f"compare '{pair.a}' and '{pair.b}' on {pair.target}" for pair in self.pairs)

    def run(self, progress: Progress) -> ComparisonReport:
        """The verdict on their ratios."""
        return _report(self.a, self.b, self.pairs, (), self.settings)


@dataclass(frozen=True)
class CompareOrder:
    """Two opened artifacts, and the targets on which they are measured alternately."""

    sides: tuple[Side, Side]
    targets: tuple[Target, ...]
    protocol: Protocol
    time_limit_s: float
    settings: Settings
    command: str = "compare"

    def steps(self) -> tuple[str, ...]:
        """What `run` would do, one sentence per target."""
        a, b = self.sides
        return tuple(
            f"measure '{a.name}' and '{b.name}' alternately on {one}: {self.protocol.pairs} pairs of fresh processes, "
            f"each timed for {self.time_limit_s:g} s after warm-up; more pairs, for at most "
            f"{self.protocol.time_box_s:g} s, if these are inconclusive"
            for one in self.targets
        )

    def run(self, progress: Progress) -> ComparisonReport:
        """Measure both sides alternately on every target; devices work at the same time.

        A device that is lost costs what it would have measured: the report contains the rest, and says what is missing.

        Raises:
            EdgekitError: Nothing could be launched, for this reason, on devices that are there.
            KeyboardInterrupt: Ctrl-C came before anything was measured.
        """
        results = _Results()
        try:
            names = dict.fromkeys(one.device for one in self.targets)
            work = {name: partial(self._compare_on, name, results, progress) for name in names}
            THREADS.run(work, progress)
        except KeyboardInterrupt:
            if not results.measurements(self.targets):
                raise
            missed = [one for one in self.targets if one not in results.found and one not in results.failed]
            results.failed.update(dict.fromkeys(missed, Interrupted("Stopped by Ctrl-C.")))
        measurements = results.measurements(self.targets)
        failed = list(results.failed.values())
        if failed and not measurements and not any(isinstance(one, DeviceUnavailable) for one in failed):
            raise failed[0]
        with progress.stage("compare outputs"):
            files = file_differences(*self.sides)
        pairs = [results.found[one][0] for one in self.targets if one in results.found]
        report = _report(self.sides[0].name, self.sides[1].name, pairs, measurements, self.settings)
        verdict = worst([report.verdict, *([Verdict.INCOMPLETE] if failed else [])])
        return msgspec.structs.replace(
            report, files=files, verdict=verdict, missing=results.missing(self.sides[1].name, self.targets)
        )

    def _compare_on(self, device: str, results: _Results, progress: Progress, stop: Stop) -> None:
        """Compare on the targets of one device, one after the other; a device that fails costs only its own."""
        for target in [one for one in self.targets if one.device == device]:
            kept = results.begun.setdefault(target, [])
            try:
                stop.check()
                with progress.stage(f"compare on {target}"):
                    results.found[target] = compare_sides(
                        *self.sides, target, self.protocol, self.time_limit_s, progress, stop, kept
                    )
            except (*ITS_OWN, Interrupted) as err:
                results.failed[target] = err


@dataclass
class _Results:
    """What was found on each target; of a target that failed, why, and what it had measured."""

    found: dict[Target, tuple[Compared, tuple[Measurement, Measurement]]] = field(default_factory=dict)
    begun: dict[Target, list[Measurement]] = field(default_factory=dict)
    failed: dict[Target, EdgekitError] = field(default_factory=dict)

    def measurements(self, targets: Sequence[Target]) -> list[Measurement]:
        """Everything that was measured, in the order of the targets."""
        both = [self.found[one][1] if one in self.found else self.begun.get(one, ()) for one in targets]
        return [one for measured in both for one in measured]

    def missing(self, b: str, targets: Sequence[Target]) -> tuple[Missing, ...]:
        """What each target that failed lacks, in the order of the targets."""
        return tuple(
            missing_of(b, str(one), self.failed[one], launches=_ended(self.begun.get(one, ())))
            for one in targets
            if one in self.failed
        )


def _ended(measurements: Sequence[Measurement]) -> int:
    """The launches that count."""
    return sum(not launch.replaced for one in measurements for launch in one.launches)


@contextmanager
def compare_order(
    a: str | Path,
    b: str | Path,
    *,
    target: str | Sequence[str] = "local",
    launches: int = DEFAULT_PAIRS,
    time_limit_s: float | None = None,
    time_box_s: float = DEFAULT_TIME_BOX_S,
    sizes: Sequence[str] = (),
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Iterator[Order[ComparisonReport]]:
    """Whether B is faster, slower, or as fast as A within the minimum effect.

    Args:
        a: A report (`.json`), or an artifact: `BUNDLE::RECIPE`, `.onnx` or `.tflite`. The reference.
        b: The other side, of the same kind.
        target: Where artifacts are measured, with alternating launches; ignored for reports.
        launches: Pairs of fresh processes before the first evaluation; at most four times as many in all.
        time_limit_s: Seconds that each launch is timed after warm-up.
        time_box_s: Seconds per target after which no more pairs start.
        sizes: Sizes of the dynamic axes of bare files, e.g. `T=64`.

    Raises:
        UserError: A report and an artifact, reports of different devices, inputs or units, or a target that does not
            open one of the artifacts.
    """
    if _are_reports(a, b):
        pairs = compare_reports(read_report(a), read_report(b), settings.minimum_effect)
        yield ReportsOrder(str(a), str(b), tuple(pairs), settings)
        return
    protocol = Protocol(launches, time_box_s, settings.minimum_effect, seed=settings.seed, wait_s=settings.wait_s)
    targets = named_targets(target)
    with _opened_sides(str(a), str(b), sizes, progress) as sides:
        for one, side in product(targets, sides):
            refuse_unopened(one, side)
        yield CompareOrder(sides, targets, protocol, time_limit_s or DEFAULT_TIME_LIMIT_S, settings)


compare = door(compare_order)


def compare_runs(place: str, a: int, b: int, settings: Settings) -> ComparisonReport:
    """Whether run `b` of the store at `place` is slower than run `a`; nothing is measured.

    Raises:
        UserError: A run does not exist, has no whole report of one model, or both have nothing in common.
        MissingExtra, Unreadable, EnvironmentFault: As in `opened`.
    """
    before, after = _whole_report(place, a), _whole_report(place, b)
    pairs = tuple(compare_reports(before, after, settings.minimum_effect))
    found = ReportsOrder(f"run {a}", f"run {b}", pairs, settings).run(Silent())
    return msgspec.structs.replace(found, command="history compare")


def _whole_report(place: str, number: int) -> Report:
    found = kept_run(place, number)
    if found.report:
        return found.report
    if found.check and len(found.check.reports) == 1:
        return found.check.reports[0]
    if found.run.has_report:
        why = f"is one of '{found.run.command}', which has no measurements of one model"
    else:
        why = "has no whole report any more: it was removed"
    raise UserError(f"Run {number} {why}.", hint="edgekit history list")


def _report(
    a: str, b: str, pairs: Sequence[Compared], measurements: Sequence[Measurement], settings: Settings
) -> ComparisonReport:
    return ComparisonReport(
        created=now(),
        a=a,
        b=b,
        minimum_effect=settings.minimum_effect,
        pairs=tuple(pairs),
        verdict=worst(pair.verdict for pair in pairs),
        measurements=tuple(measurements),
        tools=versions(),
        reproduction=reproduction(),
    )


def _are_reports(a: str | Path, b: str | Path) -> bool:
    kinds = [is_report(side) for side in (a, b)]
    if any(kinds) and not all(kinds):
        report = a if kinds[0] else b
        raise UserError("A report can only be compared with a report.", hint=f"edgekit compare {report} OTHER.json")
    return all(kinds)


@contextmanager
def _opened_sides(a: str, b: str, sizes: Sequence[str], progress: Progress) -> Iterator[tuple[Side, Side]]:
    """Both sides; two artifacts of one bundle share it, opened once. Both run on the inputs of A."""
    with ExitStack() as stack:
        found: dict[str, Opened] = {}
        for path in dict.fromkeys(text.partition(SEPARATOR)[0] for text in (a, b)):
            of_a = sizes if not found else ()
            door_ = opened(Path(path), with_samples=not found, sizes=of_a, progress=progress)
            found[path] = stack.enter_context(door_)
        first, second = (side_of(text, found[text.partition(SEPARATOR)[0]]) for text in (a, b))
        refuse_other_inputs(first, second)
        yield first, second
