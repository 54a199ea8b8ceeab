"""Two runs compared: what both measured, and how the latencies changed."""

from __future__ import annotations

from collections import Counter

from edgekit.core.reports.kept import KeptLatency, KeptRun
from edgekit.core.reports.kept_pages import RunPair
from edgekit.core.reports.report import Estimate
from edgekit.core.statistics.intervals import direction, ratio_interval

Key = tuple[object, ...]


def pairs_of(a: KeptRun, b: KeptRun) -> tuple[tuple[RunPair, ...], int, int]:
    """Every measurement that both runs have, and how many only `a` and only `b` have.

    The launches of two runs were not interleaved: the interval of a ratio is that of Welch's t, and a device that is
    warmer in one of them is a part of it.
    """
    # A backend version tells two measurements apart only where one of the runs has several.
    several = _with_versions(a) | _with_versions(b)
    ours, theirs = _by_key(a, several), _by_key(b, several)
    pairs = tuple(
        _pair(one, theirs[key], one.engine if _key(one) in several else "")
        for key, one in ours.items()
        if key in theirs
    )
    return pairs, len(ours.keys() - theirs.keys()), len(theirs.keys() - ours.keys())


def _key(one: KeptLatency) -> Key:
    return one.model, one.target, one.artifact, *sorted(one.sizes.items())


def _with_versions(run: KeptRun) -> set[Key]:
    return {key for key, count in Counter(map(_key, run.latency)).items() if count > 1}


def _by_key(run: KeptRun, several: set[Key]) -> dict[Key, KeptLatency]:
    return {(*key, one.engine) if (key := _key(one)) in several else key: one for one in run.latency}


def _pair(a: KeptLatency, b: KeptLatency, engine: str) -> RunPair:
    ratio, says = Estimate(None, reason="fewer than two launches"), ""
    medians = (a.launch_medians, b.launch_medians)
    if all(len(one) > 1 and min(one) > 0 for one in medians):
        found = ratio_interval(*medians, paired=False)
        ratio, says = Estimate(found.value, found.low, found.high, found.n), str(direction(found))
    return RunPair(a.model, a.target, a.artifact, a.sizes, _estimate(a), _estimate(b), ratio, says, engine)


def _estimate(one: KeptLatency) -> Estimate:
    return Estimate(one.p50, one.p50_low, one.p50_high, len(one.launch_medians))
