"""A model compared with its history: today's median, measured again while it differs from the level."""

from __future__ import annotations

from collections.abc import Iterator

from edgekit.core.reports.check import Checked
from edgekit.core.reports.report import Estimate, Report, cell
from edgekit.core.statistics.nightly import RERUNS, judge
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.judging import history
from edgekit.flows.judging.gate import Gate, Gated
from edgekit.report.formatting import at_sizes


def record_value(gate: Gate, gated: Gated, report: Report, target: Target, artifact: str) -> None:
    """Keep the median latency of an artifact for the history, where there is one."""
    for row in cell(report.latency, artifact, target)[:1]:
        if (median := row.quantiles.get("p50", Estimate(None)).value) is not None:
            gate.values[_series(gated, target, artifact)] = median
            gate.sizes[_series(gated, target, artifact)] = row.sizes


def against_history(gate: Gate, gated: Gated, target: Target, artifact: str) -> Iterator[Checked]:
    """One result where the nights are judged and today has a value."""
    series = _series(gated, target, artifact)
    if not gate.file.nightly or series not in gate.values:
        return
    # Before runs recorded sizes, bare files with free axes were measured at size 1.
    sizes, unknown = gate.sizes[series], not gated.found.is_described_by_file
    found = history.comparable(history.points(gate.lines, series), sizes, unknown=unknown or len(sizes) < 2)
    earlier = [point.value for point in found]
    candidates = [gate.values[series]]
    judged = judge(earlier, candidates)
    while judged.rerun and len(candidates) <= RERUNS:
        again = gate.profile(gated, gated.found.chosen((artifact,)), again=len(candidates))
        fresh = [row.quantiles["p50"].value for row in again.latency if row.target == str(target)]
        candidates += [value for value in fresh if value is not None] or candidates[-1:]
        judged = judge(earlier, candidates)
    verdict = {"pass": Verdict.PASS, "regressed": Verdict.FAIL}.get(judged.outcome, Verdict.INCONCLUSIVE)
    yield Checked(
        model=gated.model.called,
        artifact=artifact,
        target=str(target),
        kind="history",
        check="not slower than earlier runs",
        metric="latency",
        verdict=verdict,
        message=judged.reason + at_sizes(sizes),
        unit="s",
        estimate=Estimate(candidates[0], n=len(candidates)),
    )


def _series(gated: Gated, target: Target, artifact: str) -> str:
    return f"{gated.model.called}/{artifact}@{target}"
