"""`edgekit compare`: two artifacts measured interleaved, or two reports, and a verdict on their ratio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.facts import Facts
from edgekit.core.measurement import Measurement
from edgekit.core.reports.comparison import Compared, ComparisonReport
from edgekit.core.reports.report import REPORT_SCHEMA, Estimate, Report, is_report
from edgekit.core.statistics.intervals import direction, launch_quantiles, ratio_interval, ratio_p_value
from edgekit.core.system import documents
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target, parse_targets
from edgekit.core.verdict import worst
from edgekit.flows.measuring.cells import Cell, job_for, write_feeds
from edgekit.flows.measuring.pairs import (
    DEFAULT_PAIRS,
    DEFAULT_TIME_BOX_S,
    DEFAULT_TIME_LIMIT_S,
    Protocol,
    compare_pairs,
)
from edgekit.flows.opening import devices
from edgekit.flows.opening.artifacts import Opened, opened, opens
from edgekit.flows.order import Plan

_SEPARATOR: Final = "::"
_FACTS: Final = ("system", "governor", "cores", "throttled", "engines")


@dataclass(frozen=True, eq=False)
class Side:
    """One side of a measured comparison."""

    name: str
    found: Opened
    artifact: Artifact


def compare(
    a: str | Path,
    b: str | Path,
    *,
    target: str | Sequence[str] = "local",
    launches: int = DEFAULT_PAIRS,
    time_limit_s: float | None = None,
    time_box_s: float = DEFAULT_TIME_BOX_S,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> ComparisonReport:
    """Whether B is faster, slower, or as fast as A within the minimum effect.

    Args:
        a: A report (`.json`), or an artifact: `BUNDLE::RECIPE`, `.onnx` or `.tflite`. The reference.
        b: The other side, of the same kind.
        target: Where artifacts are measured, launch by launch in turn; ignored for reports.
        launches: Pairs of fresh processes before the first look at the result; up to four times as many in all.
        time_limit_s: Seconds of steady calls in each launch.
        time_box_s: Seconds after which no further pair is begun, for each target.

    Raises:
        UserError: A report beside an artifact, or reports of different devices, inputs or units.
    """
    measurements: list[Measurement] = []
    if _are_reports(a, b):
        pairs = compare_reports(_read(a), _read(b), settings.minimum_effect)
    else:
        protocol = Protocol(launches, time_box_s, settings.minimum_effect, seed=settings.seed)
        with _opened_sides(str(a), str(b)) as sides:
            pairs, measurements = _measured(sides, parse_targets(target), protocol, time_limit_s, progress)
    return ComparisonReport(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        a=str(a),
        b=str(b),
        minimum_effect=settings.minimum_effect,
        pairs=tuple(pairs),
        verdict=worst(pair.verdict for pair in pairs),
        measurements=tuple(measurements),
    )


def plan_compare(
    a: str | Path,
    b: str | Path,
    *,
    target: str | Sequence[str] = "local",
    launches: int = DEFAULT_PAIRS,
    time_limit_s: float | None = None,
    time_box_s: float = DEFAULT_TIME_BOX_S,
    settings: Settings = Settings(),
) -> Plan:
    """What `compare` with the same arguments would do."""
    if _are_reports(a, b):
        pairs = compare_reports(_read(a), _read(b), settings.minimum_effect)
        return Plan("compare", tuple(f"compare '{pair.a}' and '{pair.b}' on {pair.target}" for pair in pairs))
    protocol = Protocol(launches, time_box_s, settings.minimum_effect, seed=settings.seed)
    with _opened_sides(str(a), str(b)) as sides:
        steps = tuple(
            f"measure '{sides[0].name}' and '{sides[1].name}' in turn on {one}: {protocol.pairs} pairs of fresh "
            f"processes, {time_limit_s or DEFAULT_TIME_LIMIT_S:g} s of steady calls each; more pairs, for "
            f"{protocol.time_box_s:g} s at most, while these cannot decide"
            for one in parse_targets(target)
        )
    return Plan("compare", steps)


def compare_reports(a: Report, b: Report, minimum_effect: float) -> list[Compared]:
    """Every measurement that both reports hold, by target and artifact; a lone one of each side is a pair too.

    Raises:
        UserError: None in common, or one of another unit, input or device.
    """
    left = {(one.target, one.artifact): one for one in a.measurements}
    right = {(one.target, one.artifact): one for one in b.measurements}
    common = [(left[key], right[key]) for key in left if key in right]
    if not common and len(left) == len(right) == 1:
        common = [(next(iter(left.values())), next(iter(right.values())))]
    if not common:
        raise UserError(
            "The reports have no target and artifact in common.", hint="edgekit profile A --artifact RECIPE"
        )
    return [_checked(one, other, a, b, minimum_effect) for one, other in common]


def compare_sides(
    a: Side, b: Side, target: Target, protocol: Protocol, time_limit_s: float | None, progress: Progress
) -> tuple[Compared, tuple[Measurement, Measurement]]:
    """Two opened artifacts on one target, launch by launch in turn.

    Raises:
        UserError: They take different inputs, or the target does not open one of them.
    """
    _refuse_other_inputs(a, b)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="edgekit-")))
        feeds = write_feeds(a.found, folder, count=1)
        cells = [_cell(side, target, feeds, time_limit_s or DEFAULT_TIME_LIMIT_S) for side in (a, b)]
        device = stack.enter_context(devices.open_device(target.device))
        return compare_pairs(cells, device, protocol, progress)


def side_of(text: str, found: Opened) -> Side:
    """One artifact of what was opened: the recipe behind `::`, or the only one there is.

    Raises:
        UserError: There are several, or none of that name.
    """
    _, _, recipe = text.partition(_SEPARATOR)
    chosen = found.chosen((recipe,) if recipe else ())
    if len(chosen) > 1:
        names = ", ".join(one.recipe for one in chosen)
        raise UserError(
            f"'{text}' holds several artifacts: {names}.", hint=f"{found.path}{_SEPARATOR}{chosen[0].recipe}"
        )
    return Side(text, found, chosen[0])


def _are_reports(a: str | Path, b: str | Path) -> bool:
    kinds = [is_report(side) for side in (a, b)]
    if any(kinds) and not all(kinds):
        report = a if kinds[0] else b
        raise UserError("A report can only be compared with a report.", hint=f"edgekit compare {report} OTHER.json")
    return all(kinds)


@contextmanager
def _opened_sides(a: str, b: str) -> Iterator[tuple[Side, Side]]:
    with ExitStack() as stack:
        first, second = (
            side_of(text, stack.enter_context(opened(Path(text.partition(_SEPARATOR)[0])))) for text in (a, b)
        )
        _refuse_other_inputs(first, second)
        yield first, second


def _measured(
    sides: tuple[Side, Side],
    targets: Sequence[Target],
    protocol: Protocol,
    time_limit_s: float | None,
    progress: Progress,
) -> tuple[list[Compared], list[Measurement]]:
    pairs: list[Compared] = []
    measurements: list[Measurement] = []
    for target in targets:
        with progress.stage(f"compare on {target}"):
            found, both = compare_sides(*sides, target, protocol, time_limit_s, progress)
        pairs.append(found)
        measurements += both
    return pairs, measurements


def _checked(one: Measurement, other: Measurement, a: Report, b: Report, minimum_effect: float) -> Compared:
    if (one.unit, one.metric, one.sizes) != (other.unit, other.metric, other.sizes):
        raise UserError(
            f"'{one.artifact}': {one.metric} in {one.unit} at {one.sizes} against {other.metric} in {other.unit} at "
            f"{other.sizes}."
        )
    _refuse_other_tensors(a, b)
    before, after = a.facts.get(one.target, Facts()), b.facts.get(other.target, Facts())
    if (before.cpu, before.architecture) != (after.cpu, after.architecture):
        raise UserError(
            f"The devices differ: '{before.cpu}' and '{after.cpu}'.", hint="Measure both on the same device."
        )
    differing = [
        f"{name}: {getattr(before, name)} and {getattr(after, name)}"
        for name in _FACTS
        if getattr(before, name) != getattr(after, name)
    ]
    return _compared(one, other, minimum_effect, tuple(differing))


def _compared(a: Measurement, b: Measurement, minimum_effect: float, differing: tuple[str, ...]) -> Compared:
    before, after = (launch_quantiles(one.launch_values, 0.5) for one in (a, b))
    emulated = a.emulated or b.emulated
    if emulated or before is None or after is None:
        reason = "emulated: no latency of any device" if emulated else "too few launches or values"
        missing = Estimate(None, reason=reason)
        return Compared(a.target, a.artifact, b.artifact, missing, None, "inconclusive", differing)
    ratio = ratio_interval(before, after, paired=False)
    return Compared(
        a.target,
        a.artifact,
        b.artifact,
        Estimate(ratio.value, ratio.low, ratio.high, ratio.n),
        ratio.detectable,
        direction(ratio, minimum_effect),
        differing,
        before,
        after,
        p_value=ratio_p_value(before, after, paired=False),
    )


def _read(path: str | Path) -> Report:
    return documents.read(Path(path), Report, newest=REPORT_SCHEMA)


def _refuse_other_inputs(a: Side, b: Side) -> None:
    _refuse_other(*({str(tensor) for tensor in side.found.spec.inputs} for side in (a, b)))


def _refuse_other_tensors(a: Report, b: Report) -> None:
    if a.spec and b.spec:
        _refuse_other(*({str(tensor) for tensor in spec.inputs} for spec in (a.spec, b.spec)))


def _refuse_other(left: set[str], right: set[str]) -> None:
    if left != right:
        raise UserError(f"The inputs differ: {', '.join(sorted(left))} and {', '.join(sorted(right))}.")


def _cell(side: Side, target: Target, feeds: Path, time_limit_s: float) -> Cell:
    if not opens(target, side.artifact):
        raise UserError(f"Target '{target}' does not open '{side.name}'.")
    return Cell(side.found, side.artifact, target, job_for(side.found, side.artifact, target, feeds, "", time_limit_s))
