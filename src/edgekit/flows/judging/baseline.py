"""A model against its baseline: another bundle or file measured in turn with it, or a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import DeviceUnavailable, EdgekitError
from edgekit.core.measurement import Measurement
from edgekit.core.reports.check import Change, Checked
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Report, cell
from edgekit.core.statistics.intervals import launch_interval
from edgekit.core.system.native.forks import apart
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.fleet.profiled import ITS_OWN
from edgekit.flows.judging.baseline_figures import (
    Figure,
    accuracy_figure,
    changed_by,
    instructions_figure,
    memory_figure,
    reported_accuracy,
    size_figure,
)
from edgekit.flows.judging.comparison import compare_reports
from edgekit.flows.judging.gate import Gate, Gated, confirmed, is_measured
from edgekit.flows.measuring.pairs import DEFAULT_TIME_LIMIT_S
from edgekit.flows.measuring.sides import Side, compare_sides, count_sides
from edgekit.flows.opening.artifacts import Opened
from edgekit.report.formatting import at_sizes, changed


@dataclass(frozen=True)
class Against:
    """One artifact on one target with its baseline, and the report of this run."""

    gate: Gate
    gated: Gated
    baseline: Opened | Report
    report: Report
    target: Target
    artifact: str

    @property
    def described(self) -> str:
        """`net/onnx-fp32 on pi5`."""
        return f"{self.gated.model.called}/{self.artifact} on {self.target}"

    @property
    def made(self) -> Artifact:
        """The artifact that is judged."""
        return self.gated.found.chosen((self.artifact,))[0]

    def sides(self, other: Opened) -> tuple[Side, Side]:
        """The baseline, and the artifact."""
        return _baseline_side(other, self.made), Side(str(self.gated.found.path), self.gated.found, self.made)


def against_baseline(gate: Gate, gated: Gated, report: Report, target: Target, artifact: str) -> Iterator[Checked]:
    """One result per metric where the model has a baseline and the artifact kept parity.

    What noise can affect is measured once more before it fails. A metric that one side does not have is not judged.
    Errors of a device come after the results that do not depend on it.
    """
    if gated.baseline is None or not is_measured(report, artifact, target):
        return
    one = Against(gate, gated, gated.baseline, report, target, artifact)
    counted = _instructions(one) if gate.compares("instructions") else None
    if counted is not None:
        yield _result(one, counted)
    is_first = target == next(one for one in gated.targets if is_measured(report, artifact, one))
    lost: EdgekitError | None = None
    try:
        yield from _timed(one, with_latency=counted is None)
    except ITS_OWN as err:
        lost = err
    if is_first:
        yield from _same_everywhere(one)
    if lost is not None:
        raise lost


def _same_everywhere(one: Against) -> Iterator[Checked]:
    """Size and accuracy, which do not depend on the target: accuracy is measured on this machine."""
    if one.gate.compares("size") and (size := _size(one)) is not None:
        yield _result(one, size)
    if one.gate.compares("accuracy") and (accuracy := _accuracy(one)) is not None:
        yield _result(one, accuracy)


def needs_quality(gate: Gate, gated: Gated) -> bool:
    """Whether the accuracy of this run must be measured because the report of the baseline has one."""
    has_one = isinstance(gated.baseline, Report) and bool(gated.baseline.accuracy)
    return has_one and gated.found.samples.is_labelled and gate.compares("accuracy")


def _timed(one: Against, *, with_latency: bool) -> Iterator[Checked]:
    """Latency and memory, from one comparison; where one of them fails, both are measured once more."""
    gate = one.gate
    if not (with_latency and gate.compares("latency")) and not gate.compares("memory"):
        return
    first, sides = _comparison(one, again=False)
    gate.comparisons.append(first)
    found = [_latency_result(one, first)] if with_latency and gate.compares("latency") else []
    memory = memory_figure(*sides, gate.file.minimum_effect) if gate.compares("memory") else None
    if memory is None:
        gate.cannot_compare("memory", one.described, "its launches do not report it")
    else:
        found.append(_result(one, memory))
    if any(result.verdict is Verdict.FAIL for result in found):
        second, sides = _comparison(one, again=True)
        gate.comparisons.append(second)
        found = [_again(result, second, sides, gate) for result in found]
    yield from found


def _again(alarm: Checked, second: Compared, sides: tuple[Measurement, Measurement], gate: Gate) -> Checked:
    if alarm.verdict is not Verdict.FAIL:
        return alarm
    if alarm.metric == "latency":
        return confirmed(alarm, second.verdict, _ratio_text(second))
    memory = memory_figure(*sides, gate.file.minimum_effect)
    return confirmed(alarm, memory.verdict if memory else Verdict.INCONCLUSIVE, memory.text if memory else "no value")


def _latency_result(one: Against, found: Compared) -> Checked:
    change = _latency_change(found)
    told = f", {changed(change, str(one.target))}" if change else ""
    figure = Figure("latency", found.verdict, change, _ratio_text(found) + told, found.p_value, found.ratio)
    return _result(one, figure)


def _latency_change(found: Compared) -> Change | None:
    """Both medians, and their difference as the interval of the ratio gives it."""
    if len(found.medians_a) < 2:
        return None
    return changed_by(found.ratio, launch_interval(found.medians_a), "s")


def _ratio_text(found: Compared) -> str:
    ratio, at = found.ratio, at_sizes(found.sizes)
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return ratio.reason + at
    value, low, high = (f"{100 * (one - 1):+.1f} %" for one in (ratio.value, ratio.low, ratio.high))
    return f"{value} [{low}, {high}]{at}"


def _comparison(one: Against, *, again: bool) -> tuple[Compared, tuple[Measurement, Measurement]]:
    """The artifact against the baseline; `again` measures afresh."""
    gate, report = one.gate, one.report
    if isinstance(one.baseline, Report):
        if again:
            report = msgspec.structs.replace(report, measurements=_measured_again(one))
        now = cell(report.measurements, one.artifact, one.target)
        narrowed = msgspec.structs.replace(report, measurements=now)
        compared = compare_reports(one.baseline, narrowed, gate.file.minimum_effect)[0]
        before = cell(one.baseline.measurements, one.artifact, one.target) or one.baseline.measurements
        return compared, (before[0], now[0])
    time_limit_s = min(gate.file.time_limit_s, DEFAULT_TIME_LIMIT_S)
    protocol = gate.protocol(again=again)
    return compare_sides(*one.sides(one.baseline), one.target, protocol, time_limit_s, gate.progress)


def _measured_again(one: Against) -> tuple[Measurement, ...]:
    """New values of the artifact on the target.

    Raises:
        DeviceUnavailable: There are none, or not all.
    """
    found = one.gate.profile(one.gated, (one.made,), again=1)
    for lost in cell(found.missing, one.artifact, one.target):
        raise DeviceUnavailable(lost.reason, hint=lost.hint)
    fresh = cell(found.measurements, one.artifact, one.target)
    if not fresh:
        raise DeviceUnavailable(f"{one.described} could not be measured again.")
    return fresh


def _size(one: Against) -> Figure | None:
    if isinstance(one.baseline, Opened):
        before = one.sides(one.baseline)[0].artifact.size_bytes
    else:
        known = one.baseline.artifacts
        same = [it.size_bytes for it in known if it.recipe == one.artifact] or [it.size_bytes for it in known]
        if not same:
            one.gate.cannot_compare("size", one.described, "the report of the baseline has no artifacts")
            return None
        before = same[0]
    return size_figure(before, one.made.size_bytes, one.gate.file.size_tolerance, str(one.target))


def _accuracy(one: Against) -> Figure | None:
    tolerance, place = one.gate.file.accuracy_tolerance, str(one.target)
    if isinstance(one.baseline, Report):
        figure, reason = reported_accuracy(one.baseline, one.report, one.artifact, tolerance, place)
    else:
        sides = one.sides(one.baseline)
        now = sides[1].found.files[sides[1].artifact.recipe]
        figure, reason = apart(partial(accuracy_figure, *sides, tolerance, place), tuple[Figure | None, str], now)
    if figure is None:
        one.gate.cannot_compare("accuracy", one.described, reason)
    return figure


def _instructions(one: Against) -> Figure | None:
    """The counted instructions of both sides; None where the device counts none."""
    if isinstance(one.baseline, Report):
        rows = (cell(report.latency, one.artifact, one.target) for report in (one.baseline, one.report))
        before, now = (row[0].instructions.value if row else None for row in rows)
    else:
        before, now = count_sides(*one.sides(one.baseline), one.target)
    if before is None or now is None:
        one.gate.cannot_compare("instructions", one.described, f"'{one.target.device}' counts none")
        return None
    return instructions_figure(before, now, one.gate.file.instructions_tolerance, str(one.target))


_SAYS = {
    "latency": "not slower than {}",
    "size": "not larger than {}",
    "accuracy": "not less accurate than {}",
    "memory": "no more memory than {}",
    "instructions": "no more instructions than {}",
}


def _result(one: Against, figure: Figure) -> Checked:
    return Checked(
        model=one.gated.model.called,
        artifact=one.artifact,
        target=str(one.target),
        kind="baseline",
        check=_SAYS[figure.metric].format(one.gated.against),
        metric=figure.metric,
        verdict=figure.verdict,
        message=figure.text,
        unit="x",
        estimate=figure.ratio,
        p_value=figure.p_value,
        change=figure.change,
    )


def _baseline_side(other: Opened, artifact: Artifact) -> Side:
    """The artifact of the baseline that corresponds: of the same recipe, or the only one there is."""
    if len(other.artifacts) == 1:
        return Side(str(other.path), other, other.artifacts[0])
    return Side(str(other.path), other, other.chosen((artifact.recipe,))[0])
