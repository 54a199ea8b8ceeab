"""A model against its baseline: another bundle or file measured in turn with it, or a report."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.reports.check import Checked
from edgekit.core.reports.comparison import Compared
from edgekit.core.reports.report import Report, cell
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.judging.comparison import compare_reports
from edgekit.flows.judging.gate import Gate, Gated, confirmed
from edgekit.flows.measuring.pairs import DEFAULT_TIME_LIMIT_S
from edgekit.flows.measuring.sides import Side, compare_sides
from edgekit.flows.opening.artifacts import Opened
from edgekit.report.formatting import at_sizes


def against_baseline(gate: Gate, gated: Gated, report: Report, target: Target, artifact: str) -> Iterator[Checked]:
    """One result where the model has a baseline and the artifact kept parity; an alarm is measured once more."""
    if gated.baseline is None or not cell(report.measurements, artifact, target):
        return
    first = _comparison(gate, gated, gated.baseline, report, target, artifact, again=False)
    gate.comparisons.append(first)
    result = Checked(
        model=gated.model.called,
        artifact=artifact,
        target=str(target),
        kind="baseline",
        check=f"not slower than {gated.against}",
        metric="latency",
        verdict=first.verdict,
        message=_ratio_text(first),
        unit="x",
        estimate=first.ratio,
        p_value=first.p_value,
    )
    if first.verdict is Verdict.FAIL:
        second = _comparison(gate, gated, gated.baseline, report, target, artifact, again=True)
        gate.comparisons.append(second)
        result = confirmed(result, second.verdict, _ratio_text(second))
    yield result


def _ratio_text(found: Compared) -> str:
    ratio, at = found.ratio, at_sizes(found.sizes)
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return ratio.reason + at
    value, low, high = (f"{100 * (one - 1):+.1f} %" for one in (ratio.value, ratio.low, ratio.high))
    return f"{value} [{low}, {high}]{at}"


def _comparison(
    gate: Gate, gated: Gated, baseline: Opened | Report, report: Report, target: Target, artifact: str, *, again: bool
) -> Compared:
    """The artifact against the baseline; `again` measures afresh."""
    chosen = gated.found.chosen((artifact,))
    if isinstance(baseline, Report):
        if again:
            profiled = gate.profile(gated, chosen, again=1)
            report = msgspec.structs.replace(report, measurements=tuple(profiled.measurements))
        return _with_report(gate, baseline, report, target, artifact)
    sides = (_baseline_side(baseline, chosen[0]), Side(str(gated.found.path), gated.found, chosen[0]))
    time_limit_s = min(gate.file.time_limit_s, DEFAULT_TIME_LIMIT_S)
    return compare_sides(*sides, target, gate.protocol(again=again), time_limit_s, gate.progress)[0]


def _with_report(gate: Gate, before: Report, report: Report, target: Target, artifact: str) -> Compared:
    now = msgspec.structs.replace(report, measurements=cell(report.measurements, artifact, target))
    return compare_reports(before, now, gate.file.minimum_effect)[0]


def _baseline_side(other: Opened, artifact: Artifact) -> Side:
    """The artifact of the baseline that corresponds: of the same recipe, or the only one there is."""
    if len(other.artifacts) == 1:
        return Side(str(other.path), other, other.artifacts[0])
    return Side(str(other.path), other, other.chosen((artifact.recipe,))[0])
