"""A model compared with its history: today's median, measured again while it differs from the level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from edgekit.core.reports.check import Checked
from edgekit.core.reports.history import Point
from edgekit.core.reports.report import Estimate, Latency, Report, cell
from edgekit.core.statistics.events import Event, Night, SeriesKey, judge_many
from edgekit.core.statistics.nightly import RERUNS, Judgement, judge
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.flows.judging import history
from edgekit.flows.judging.gate import Gate, Gated
from edgekit.report.formatting import at_sizes


def record_value(gate: Gate, gated: Gated, report: Report, target: Target, artifact: str) -> None:
    """Keep the median latency of an artifact for the history, where there is one."""
    median = _median(report.latency, target, artifact).value
    if median is not None:
        gate.values[_series(gated, target, artifact)] = median
        gate.sizes[_series(gated, target, artifact)] = cell(report.latency, artifact, target)[0].sizes


def against_history(gate: Gate, gated: Gated, report: Report, target: Target, artifact: str) -> Iterator[Checked]:
    """One result where the nights are judged and the artifact was measured today."""
    rows = cell(report.latency, artifact, target)
    if not gate.file.nightly or not rows or "p50" not in rows[0].quantiles:  # an emulated device has no latency
        return
    sizes, today = rows[0].sizes, _median(rows, target, artifact)
    if today.value is None:
        verdict, message = Verdict.INCONCLUSIVE, f"today has no median: {today.reason}" + at_sizes(sizes)
    else:
        verdict, message, today = _night(gate, gated, target, artifact)
    yield Checked(
        model=gated.model.called,
        artifact=artifact,
        target=str(target),
        kind="history",
        check="not slower than earlier runs",
        metric="latency",
        verdict=verdict,
        message=message,
        unit="s",
        estimate=today,
    )


def events_of(gate: Gate, today: str) -> Iterator[Event]:
    """What is slower than in earlier runs, put together by its cause, each with the run since when it is."""
    for event in judge_many(gate.nights):
        since = min(gate.since[series] or today for series in event.series)
        yield msgspec.structs.replace(event, since=since)


def _night(gate: Gate, gated: Gated, target: Target, artifact: str) -> tuple[Verdict, str, Estimate]:
    """Today's median against the earlier ones: the verdict, its reason, and what was measured."""
    series = _series(gated, target, artifact)
    # Before runs recorded sizes, bare files with free axes were measured at size 1.
    sizes, unknown = gate.sizes[series], not gated.found.is_described_by_file
    found = history.comparable(history.points(gate.lines, series), sizes, unknown=unknown or len(sizes) < 2)
    candidates, judged, missing = _judged(gate, gated, target, artifact, found)
    verdict = {"pass": Verdict.PASS, "regressed": Verdict.FAIL}.get(judged.outcome, Verdict.INCONCLUSIVE)
    if judged.rerun or verdict is Verdict.FAIL:
        gate.outside.append(series)
    return verdict, judged.reason + at_sizes(sizes) + missing, Estimate(gate.values[series], n=len(candidates))


def _judged(
    gate: Gate, gated: Gated, target: Target, artifact: str, found: Sequence[Point]
) -> tuple[list[float], Judgement, str]:
    """The medians since the level was left, what they say, and why a re-run has none: it then confirms nothing."""
    series, level, missing = _series(gated, target, artifact), history.level_of(found), ""
    slow = _slow_nights(found, level)
    candidates = [*(point.value for point in slow), gate.values[series]]
    judged = judge(level, candidates)
    for again in range(1, RERUNS + 1):
        if not judged.rerun or gate.file.rerun_later:
            break
        fresh = _median(gate.profile(gated, gated.found.chosen((artifact,)), again=again).latency, target, artifact)
        if fresh.value is None:
            missing = f"; a re-run has no median: {fresh.reason}"
            continue
        candidates.append(fresh.value)
        judged = judge(level, candidates)
    gate.nights[SeriesKey(f"{gated.model.called}/{artifact}", str(target))] = Night(level, candidates)
    gate.since[series] = slow[0].created if slow else ""
    later = ", by the next runs" if judged.rerun and gate.file.rerun_later else ""
    return candidates, judged, later + missing


def _slow_nights(found: Sequence[Point], level: Sequence[float]) -> Sequence[Point]:
    """The last nights that were slower than the level, at most as many as confirm one another."""
    last = found[history.red_since(found) :]
    first = next((place for place, point in enumerate(last) if judge(level, [point.value]).rerun), len(last))
    return last[first:][-RERUNS:]


def _median(rows: Sequence[Latency], target: Target, artifact: str) -> Estimate:
    """The median of an artifact, or why there is none."""
    row = next(iter(cell(rows, artifact, target)), None)
    none = Estimate(None, reason="it was not measured" if row is None else "emulated: not the latency of a device")
    return none if row is None else row.quantiles.get("p50", none)


def _series(gated: Gated, target: Target, artifact: str) -> str:
    return f"{gated.model.called}/{artifact}@{target}"
