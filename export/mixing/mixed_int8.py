"""Int8 that keeps quality because its worst operators stay in float: the mode between int8 and float."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import ParityCheck
from edgekit.core.verdict import Verdict
from edgekit.export.checking import shares
from edgekit.export.mixing.candidates import candidates_of
from edgekit.export.mixing.fewest import KeepCandidate, by_gain, fewest, with_sources
from edgekit.export.mixing.trials import FLOAT, MixedArtifact, QuantizedPair, Trials
from edgekit.export.workers.worker import Worker

# Decibels of noise and points of agreement count the same.
_UNITS: Final = {"sqnr": 1.0, "agreement": 100.0}
_LEAST: Final = 1e-6
# Rows of these are weights, though nothing is multiplied by them.
_TABLES: Final = ("Gather", "EMBEDDING_LOOKUP")
# Layers are tried alone for at most so much of the time: the rest is for choosing among them.
_SHARE_OF_TIME: Final = 0.6


def mixed_int8(
    pair: QuantizedPair,
    worker: Worker,
    folder: Path,
    reason: str,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> MixedArtifact:
    """Replace the quantized artifact by one that passes its checks, with as few operators in float as that takes.

    Args:
        folder: For the files that are tried.
        reason: Why the quantized artifact is not good enough.
        limit_s: No further file is tried after this time.

    Raises:
        ConversionFailed: None passes with at least half of its work in int8, or the time ended before one did.
    """
    start = clock()
    trials = Trials(pair, folder, worker, FLOAT, lambda path, artifact: _missing(pair, path, artifact))
    for order in _orders(tuple(candidates_of(pair)), trials, lambda: clock() < start + limit_s * _SHARE_OF_TIME):
        chosen = fewest(order, trials.measured, 0, lambda: clock() < start + limit_s)
        if chosen is not None and trials.measured(chosen) == 0:
            return trials.accept(chosen, lambda _: f"in int8 throughout, {reason}")
    if clock() >= start + limit_s:
        raise ConversionFailed(f"the last {limit_s:.0f} s for int8 modes ended before a file passed")
    raise ConversionFailed("no choice of operators in float32 passes with at least half of the work in int8")


def _orders(
    candidates: Sequence[KeepCandidate], trials: Trials, has_time: Callable[[], bool]
) -> Iterator[tuple[KeepCandidate, ...]]:
    """The orders in which operators are kept: by the error that they add, so with what each is computed from, and by
    what each layer alone gains, which takes a quantization for each.

    Where a small error in the middle of a network grows to the end, the last one alone finds it.
    """
    layers = [one for one in candidates if one.is_layer or one.kept.operator in _TABLES]
    if Recipe.parse(trials.pair.quantized.recipe).mode == "dynamic":
        candidates = layers  # the others are in float in any case
    if candidates:
        yield tuple(candidates)
        yield with_sources(candidates)
    if found := by_gain(layers, trials.measured, has_time):
        yield found


def _missing(pair: QuantizedPair, path: Path, artifact: Artifact) -> float:
    """How much the checks that fail are short of their limits, in dB or points; 0 if none fails.

    -1 if too little is int8, so that a search goes on with less in float.
    """
    failed = [one for one in pair.checks(path, artifact)[0] if one.verdict is Verdict.FAIL]
    return -1 if any(one.kind == shares.KIND for one in failed) else sum(map(_short, failed))


def _short(check: ParityCheck) -> float:
    """How much one check is short of its limit; 1 where that has no measure in common with others."""
    if check.value is None or check.limit is None or check.kind not in _UNITS:
        return 1.0
    return max(_UNITS[check.kind] * (check.limit - check.value), _LEAST)
