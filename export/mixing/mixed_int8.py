"""Static int8 that keeps quality because its worst operators stay in float: the mode between int8 and float."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed
from edgekit.core.verdict import Verdict
from edgekit.export.checking import shares
from edgekit.export.mixing.candidates import candidates_of
from edgekit.export.mixing.fewest import fewest, with_sources
from edgekit.export.mixing.trials import FLOAT, MixedArtifact, QuantizedPair, Trials
from edgekit.export.workers.worker import Worker


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
    end = clock() + limit_s
    candidates = tuple(candidates_of(pair))
    trials = Trials(pair, folder, worker, FLOAT, lambda path, artifact: _failures(pair, path, artifact))
    for order in (candidates, with_sources(candidates)) if candidates else ():
        chosen = fewest(order, trials.measured, 0, lambda: clock() < end)
        if chosen is not None and trials.measured(chosen) == 0:
            return trials.accept(chosen, lambda _: f"in int8 throughout, {reason}")
    if clock() >= end:
        raise ConversionFailed(f"the last {limit_s:.0f} s for int8 modes ended before a file passed")
    raise ConversionFailed("no choice of operators in float32 passes with at least half of the work in int8")


def _failures(pair: QuantizedPair, path: Path, artifact: Artifact) -> int:
    """How many checks fail; -1 if too little is int8, so that a search goes on with less in float."""
    failed = [one for one in pair.checks(path, artifact)[0] if one.verdict is Verdict.FAIL]
    return -1 if any(one.kind == shares.KIND for one in failed) else len(failed)
