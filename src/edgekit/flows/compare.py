"""`edgekit compare`: two artifacts measured interleaved, or two reports, and a verdict on their ratio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import msgspec

from edgekit.core.errors import EdgekitError, Interrupted, UserError
from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.report import is_report
from edgekit.core.system.documents import now
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict, worst
from edgekit.flows.fleet.profiled import ITS_OWN, missing_of
from edgekit.flows.fleet.together import THREADS, Stop
from edgekit.flows.judging.comparison import compare_reports, read_report
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

        Raises:
            EdgekitError: Nothing could be compared, for this reason.
            KeyboardInterrupt: Ctrl-C came before any target was done.
        """
        found: dict[Target, tuple[Compared, tuple[Measurement, Measurement]]] = {}
        failed: dict[Target, EdgekitError] = {}
        try:
            names = dict.fromkeys(one.device for one in self.targets)
            work = {name: partial(self._compare_on, name, found, failed, progress) for name in names}
            THREADS.run(work, progress)
        except KeyboardInterrupt:
            if not found:
                raise
            failed.update({one: Interrupted("Stopped by Ctrl-C.") for one in self.targets if one not in found})
        if failed and not found:
            raise next(iter(failed.values()))
        done = [found[one] for one in self.targets if one in found]
        pairs = [one for one, _ in done]
        measurements = [one for _, both in done for one in both]
        with progress.stage("compare outputs"):
            files = file_differences(*self.sides)
        report = _report(self.sides[0].name, self.sides[1].name, pairs, measurements, self.settings)
        verdict = worst([report.verdict, *([Verdict.INCOMPLETE] if failed else [])])
        missing = tuple(missing_of(self.sides[1].name, str(target), err) for target, err in failed.items())
        return msgspec.structs.replace(report, files=files, verdict=verdict, missing=missing)

    def _compare_on(
        self,
        device: str,
        found: dict[Target, tuple[Compared, tuple[Measurement, Measurement]]],
        failed: dict[Target, EdgekitError],
        progress: Progress,
        stop: Stop,
    ) -> None:
        """Compare on the targets of one device, one after the other; a device that fails costs only its own."""
        for target in [one for one in self.targets if one.device == device]:
            try:
                stop.check()
                with progress.stage(f"compare on {target}"):
                    found[target] = compare_sides(*self.sides, target, self.protocol, self.time_limit_s, progress, stop)
            except (*ITS_OWN, Interrupted) as err:
                failed[target] = err


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
