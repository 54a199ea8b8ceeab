"""Figures besides the latency against those of a baseline: size, accuracy, memory and instructions."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

from edgekit.core.measurement import Measurement
from edgekit.core.reports.check import Change
from edgekit.core.reports.report import Accuracy, Estimate, Report
from edgekit.core.spec.metric import metric_unit
from edgekit.core.statistics.intervals import (
    MIN_LAUNCHES,
    Interval,
    direction,
    disagreeing,
    launch_interval,
    ratio_interval,
    ratio_p_value,
)
from edgekit.core.statistics.student import NORMAL
from edgekit.core.system.check_settings import BaselineMetric
from edgekit.core.target import Target
from edgekit.core.verdict import Verdict
from edgekit.export.checking.accuracy import measure_accuracy
from edgekit.export.checking.sampling import run_samples
from edgekit.flows.measuring.sides import Side
from edgekit.flows.opening.artifacts import open_session
from edgekit.report.formatting import changed

_HERE = "local"


class Figure(NamedTuple):
    """One metric against its baseline: the judgement, both figures, and one sentence; `ratio` is that of now."""

    metric: BaselineMetric
    verdict: Verdict
    change: Change | None
    text: str
    p_value: float | None = None
    ratio: Estimate = Estimate(None)


def changed_by(ratio: Interval | Estimate, before: Interval, unit: str) -> Change | None:
    """The figure of the baseline, and what the ratio makes of it: pairs of launches know the ratio best."""
    if ratio.value is None or ratio.low is None or ratio.high is None:
        return None
    value, low, high = (before.value * part for part in (ratio.value, ratio.low, ratio.high))
    return Change(
        unit,
        Estimate(before.value, before.low, before.high, before.n),
        Estimate(value, low, high, ratio.n),
        Estimate(value - before.value, low - before.value, high - before.value, ratio.n),
    )


def size_figure(before: int, now: int, tolerance: float, place: str) -> Figure:
    """The size of a file, which has no noise."""
    return _exact("size", before, now, "bytes", tolerance, place)


def instructions_figure(before: float, now: float, tolerance: float, place: str) -> Figure:
    """Counted instructions, which have no noise."""
    return _exact("instructions", before, now, "instructions", tolerance, place)


def memory_figure(before: Measurement, now: Measurement, minimum_effect: float) -> Figure | None:
    """Peak memory of the launches; None where too few report it, or a device is emulated."""
    sides = [[float(one.peak_memory_bytes) for one in it.counted if one.peak_memory_bytes] for it in (before, now)]
    if before.emulated or now.emulated or min(map(len, sides)) < MIN_LAUNCHES:
        return None
    paired = len(sides[0]) == len(sides[1])
    ratio = ratio_interval(*sides, paired=paired)
    verdict = {"slower": Verdict.FAIL, "inconclusive": Verdict.INCONCLUSIVE}.get(direction(ratio, minimum_effect))
    change = changed_by(ratio, launch_interval(sides[0]), "bytes")
    p_value = ratio_p_value(*sides, paired=paired)
    ratios = Estimate(ratio.value, ratio.low, ratio.high, ratio.n)
    assert change is not None
    text = f"{100 * (ratio.value - 1):+.1f} %, {changed(change, now.target)}"
    return Figure("memory", verdict or Verdict.PASS, change, text, p_value, ratios)


def accuracy_figure(before: Side, now: Side, tolerance: float, place: str) -> tuple[Figure | None, str]:
    """The metric of both sides on the samples of `now`, paired by sample; or the reason why there is none."""
    samples = now.found.samples
    if not samples.is_labelled:
        return None, "the samples have no labels"
    with open_session(before.found, before.artifact, Target(_HERE)) as session:
        outputs = run_samples(session, before.found.spec, samples)
    names = [tensor.name for tensor in now.found.spec.outputs]
    if len(outputs) != len(names):
        return None, "the outputs differ"
    known = outputs if set(outputs) == set(names) else dict(zip(names, outputs.values(), strict=True))
    fed = dataclasses.replace(samples, expected=known)
    with open_session(now.found, now.artifact, Target(_HERE)) as session:
        found = measure_accuracy(session, now.artifact, now.found.spec, fed, _HERE)
    return _judged(found, tolerance, place, is_same=_are_equal(found)), found.quality.reason


def reported_accuracy(
    before: Report, now: Report, artifact: str, tolerance: float, place: str
) -> tuple[Figure | None, str]:
    """The metric of an artifact in two reports, not paired; or the reason why there is none."""
    sides = [next((one for one in report.accuracy if one.artifact == artifact), None) for report in (before, now)]
    first, second = sides
    if first is None or second is None or None in (first.quality.low, second.quality.low):
        return None, "it is not in both reports"
    return _judged(_unpaired(first, second), tolerance, place, is_same=first.quality == second.quality), ""


def _unpaired(before: Accuracy, now: Accuracy) -> Accuracy:
    """The drop of two independent qualities."""
    a, b = before.quality, now.quality
    assert a.value is not None
    assert b.value is not None
    half = sum((((one.high or 0.0) - (one.low or 0.0)) / 2) ** 2 for one in (a, b)) ** 0.5
    drop = (a.value - b.value) * (1 if metric_unit(now.metric) == "ratio" else -1)
    found = Estimate(drop, drop - half, drop + half, min(a.n, b.n))
    return Accuracy(now.artifact, now.where, now.metric, b, a, found)


def _are_equal(found: Accuracy) -> bool:
    """Whether no sample is judged differently."""
    drop = found.drop
    if metric_unit(found.metric) != "ratio":
        return drop.low == drop.high == 0
    return found.quality == found.reference and disagreeing(found.detectable or 0.0, drop.n) == 0


def _judged(found: Accuracy, tolerance: float, place: str, *, is_same: bool) -> Figure | None:
    drop, quality, reference = found.drop, found.quality, found.reference
    if drop.value is None or drop.low is None or drop.high is None or reference.value is None:
        return None
    limit = tolerance if metric_unit(found.metric) == "ratio" else tolerance * abs(reference.value)
    difference = Estimate(-drop.value, -drop.high, -drop.low, drop.n)
    if is_same:
        difference = Estimate(0.0, 0.0, 0.0, drop.n)
    change = Change(metric_unit(found.metric), reference, quality, difference)
    verdict = Verdict.INCONCLUSIVE
    if is_same or drop.high <= limit:
        verdict = Verdict.PASS
    elif drop.low > limit:
        verdict = Verdict.FAIL
    text = f"{found.metric} {changed(change, place)}, {drop.n:,} samples"
    text += ", all predicted as before" if is_same else ""
    return Figure("accuracy", verdict, change, text, _p_value(drop, limit, is_same=is_same))


def _p_value(drop: Estimate, limit: float, *, is_same: bool) -> float | None:
    """One-sided, of "the drop is within the limit", from the interval of the drop."""
    if is_same or drop.value is None or drop.low is None or drop.high is None or drop.high <= drop.low:
        return None
    error = (drop.high - drop.low) / 2 / NORMAL.inv_cdf(0.975)
    return 1 - NORMAL.cdf((drop.value - limit) / error)


def _exact(metric: BaselineMetric, before: float, now: float, unit: str, tolerance: float, place: str) -> Figure:
    known = (Estimate(value, value, value, 1) for value in (before, now, now - before))
    change = Change(unit, *known)
    share = now / before if before else 1.0
    text = f"{100 * (share - 1):+.1f} %, {changed(change, place)}"
    verdict = Verdict.FAIL if now > before * (1 + tolerance) else Verdict.PASS
    return Figure(metric, verdict, change, text, ratio=Estimate(share, share, share, 1))
