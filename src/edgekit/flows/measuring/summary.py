"""From raw launches to the figures of a report: quantiles with intervals, load, first run, memory, trust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from edgekit.core.facts import Facts
from edgekit.core.job import JobResult
from edgekit.core.measurement import PARTS, WHOLE, CallParts, Launch, Measurement
from edgekit.core.reports.report import EndToEnd, Estimate, Latency
from edgekit.core.statistics.intervals import MIN_LAUNCHES, launch_interval, launch_quantiles, required_n
from edgekit.core.statistics.steady import likely_end, warmup_end
from edgekit.core.statistics.trust import drift_of, grade, told_drift

QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
WHOLE_QUANTILES: Final = {"p50": 0.5, "p95": 0.95}
_DISTURBED_PER_CALL: Final = 0.1


def to_launch(order: int, result: JobResult) -> Launch:
    """A launch from what its process reported, with its warm-up ended where the calls themselves show it.

    It is disturbed if the scheduler preempted it too often.
    """
    switched = max((result.nivcsw or 0) / max(len(result.values), 1), _switched(result.end_to_end))
    disturbed = switched > _DISTURBED_PER_CALL
    notes = (*result.notes, f"{switched:.2f} involuntary context switches per call") if disturbed else result.notes
    calls = (*result.warmups, *result.values)
    end = _warm_from(calls, len(result.warmups), disturbed)
    return Launch(
        order,
        calls[end:],
        calls[:end],
        result.load_s,
        result.first_run_s,
        result.peak_memory_bytes,
        disturbed,
        notes,
        energy_j=result.energy_j,
        energy_calls=None if result.energy_j is None else len(result.values),
        end_to_end=_with_warmup(result.end_to_end, disturbed),
    )


def _switched(parts: CallParts | None) -> float:
    """Involuntary context switches per whole call."""
    return 0.0 if parts is None else (parts.nivcsw or 0) / max(len(parts.inference) - parts.warmups, 1)


def _with_warmup(parts: CallParts | None, disturbed: bool) -> CallParts | None:
    """The same calls, with their warm-up ended where the whole calls show it."""
    if parts is None:
        return None
    return msgspec.structs.replace(parts, warmups=_warm_from(parts.times(WHOLE), parts.warmups, disturbed))


def _warm_from(calls: Sequence[float], runner_end: int, disturbed: bool) -> int:
    """Index of the first call after the warm-up.

    In a disturbed launch a change of the level may be a neighbour's: there a warm-up counts only where what follows is
    shown to be steady, and the runner's own end else.
    """
    end = warmup_end(calls) if disturbed else likely_end(calls)
    return runner_end if end is None else end


def replaced(launch: Launch) -> Launch:
    """The launch, marked as replaced: it was repeated, and the other one counts."""
    notes = (*launch.notes, "repeated: a second launch counts instead")
    return msgspec.structs.replace(launch, replaced=True, notes=notes)


def summarize(measurement: Measurement, results: Sequence[JobResult], before: Facts, after: Facts) -> Latency:
    """Every figure that the launches of one artifact on one target support."""
    launches = measurement.counted
    found = {} if measurement.emulated else quantiles(measurement)
    return Latency(
        measurement.target,
        measurement.artifact,
        measurement.sizes,
        found,
        over_launches([launch.load_s for launch in launches]),
        over_launches([launch.first_run_s for launch in launches]),
        over_launches([launch.peak_memory_bytes for launch in launches]),
        grade(measurement, before, after, [facts for one in results for facts in (one.before, one.after)]),
        results[0].backend,
        results[0].engine,
        results[0].provider,
        instructions(measurement.instructions),
        throughput(found.get("p50", Estimate(None)), measurement.batch),
        energy(measurement),
        of_real_time(found.get("p50", Estimate(None)), measurement.sound_s),
        measurement.phase,
        token_rate(found.get("p50", Estimate(None)), measurement.tokens),
        end_to_end(measurement),
    )


def end_to_end(measurement: Measurement) -> EndToEnd | None:
    """Quantiles of whole calls and of their parts; None if none were timed."""
    if measurement.emulated or not measurement.part(WHOLE).launches:
        return None
    whole, *parts = (_whole_quantiles(measurement.part(name)) for name in (WHOLE, *PARTS))
    return EndToEnd(whole, *parts)


def _whole_quantiles(part: Measurement) -> dict[str, Estimate]:
    return {name: quantile_estimate(part, quantile) for name, quantile in WHOLE_QUANTILES.items()}


def instructions(counts: Sequence[int]) -> Estimate:
    """The median of counted instructions; no value where none were counted."""
    return Estimate(float(np.median(counts)), n=len(counts)) if counts else Estimate(None)


def throughput(median: Estimate, batch: int) -> Estimate:
    """Samples per second of consecutive calls, from the median latency of a call with `batch` samples."""
    if median.value is None or median.low is None or median.high is None:
        return Estimate(None, reason=median.reason)
    return Estimate(batch / median.value, batch / median.high, batch / median.low, median.n)


def of_real_time(latency: Estimate, sound_s: float | None) -> Estimate:
    """A latency as a share of the time that the sound of the call lasts: below 1, a stream is kept up with."""
    if sound_s is None:
        return Estimate(None, reason="the model takes no sound")
    low, high = (None if one is None else one / sound_s for one in (latency.low, latency.high))
    value = None if latency.value is None else latency.value / sound_s
    return Estimate(value, low, high, latency.n, latency.reason)


def token_rate(latency: Estimate, tokens: int | None) -> Estimate:
    """Tokens per second, from the latency of a call that reads `tokens`; a bound of the one bounds the other."""
    if tokens is None:
        return Estimate(None, reason="the model does not continue a text")
    value, low, high = (tokens / one if one else None for one in (latency.value, latency.high, latency.low))
    return Estimate(value, low, high, latency.n, latency.reason)


def energy(measurement: Measurement) -> Estimate:
    """Joules per call, over the launches with a sensor reading."""
    counted = [launch for launch in measurement.counted if launch.energy_j is not None]
    if not counted:
        return Estimate(None, reason="no readable sensor")
    return over_launches(
        [launch.energy_j / (launch.energy_calls or len(launch.values)) for launch in counted if launch.energy_j]
    )


def quantiles(measurement: Measurement) -> dict[str, Estimate]:
    """p50 and higher as far as the sample supports; the first unsupported one is included without a value."""
    found: dict[str, Estimate] = {}
    for name, quantile in QUANTILES.items():
        found[name] = quantile_estimate(measurement, quantile)
        if found[name].value is None:
            break
    return found


def quantile_estimate(measurement: Measurement, quantile: float) -> Estimate:
    """One latency quantile with its interval over launches, or no value and the reason.

    A drift has no quantiles. Half of the fastest launch still bounds it from below, which decides the budgets that it
    misses by far; it passes none.
    """
    values = launch_quantiles(measurement.launch_values, quantile)
    if values is not None and (change := drift_of(measurement)):
        return Estimate(None, low=min(values) / 2, n=len(values), reason=told_drift(change))
    if values is not None:
        interval = launch_interval(values)
        return Estimate(interval.value, interval.low, interval.high, len(values))
    fewest = min((len(values) for values in measurement.launch_values), default=0)
    if len(measurement.counted) < MIN_LAUNCHES:
        return Estimate(None, reason=f"{len(measurement.counted)} launches, {MIN_LAUNCHES} are needed")
    return Estimate(None, reason=f"n too small: {fewest} values per launch, {required_n(quantile)} are needed")


def over_launches(values: Sequence[float | None]) -> Estimate:
    """The median of one value per launch, with an interval if there are enough; absent values are skipped."""
    known = [float(value) for value in values if value]
    if not known:
        return Estimate(None, reason="not reported by the launch")
    if len(known) < MIN_LAUNCHES:
        return Estimate(float(np.median(known)), n=len(known), reason=f"no interval from {len(known)} launches")
    interval = launch_interval(known)
    return Estimate(interval.value, interval.low, interval.high, len(known))
