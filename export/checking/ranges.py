"""How many of its int8 values every quantized tensor uses: a scale that is far too large costs accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.errors import MissingExtra
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.sampling import feeds_of
from edgekit.export.formats import format_of, tracer_of

CASE: Final = "int8 range"
# Calibrated tensors use most of their 256 values; one whose scale is ten times too large uses a tenth of them.
LEAST: Final = 0.12
_ROWS: Final = 64
_VALUES: Final = 256


def range_checks(
    path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str
) -> tuple[ParityCheck, ...]:
    """One check, of the tensor that uses fewest of its int8 values; none if no activation has a fixed scale.

    Also none where the packages that read the file are not installed.
    """
    if artifact.precision != "int8":
        return ()
    try:
        shares = used_shares(path, artifact, spec, samples)
    except MissingExtra:
        return ()
    if not shares:
        return ()
    worst = min(shares, key=lambda name: shares[name])
    verdict = Verdict.PASS if shares[worst] >= LEAST else Verdict.FAIL
    count = min(len(samples), _ROWS)
    return (ParityCheck(artifact.recipe, where, CASE, worst, "range", shares[worst], LEAST, verdict, samples=count),)


def used_shares(path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples) -> dict[str, float]:
    """The share of its 256 values that each quantized tensor uses over the samples, by its name in a trace: those from
    the smallest to the largest, and to zero, which every range includes.

    Left out are tensors whose scale follows from their operator or from another tensor, constant ones, and those of
    which fewer than 256 values were seen: a few outputs may well be close together.
    """
    few = samples.take(slice(0, _ROWS))
    seen: dict[str, _Seen] = {}
    for run in _runs(path, artifact, spec, few):
        for name, array in run.items():
            seen[name] = seen.get(name, _Seen()).joined(array)
    return {
        name: (max(one.high, 0) - min(one.low, 0) + 1) / _VALUES
        for name, one in seen.items()
        if one.high > one.low and one.count >= _VALUES
    }


@dataclass(frozen=True)
class _Seen:
    """The ends of the steps from zero seen so far, and how many there were."""

    low: int = _VALUES
    high: int = -_VALUES
    count: int = 0

    def joined(self, array: Array) -> _Seen:
        return _Seen(min(self.low, int(array.min())), max(self.high, int(array.max())), self.count + array.size)


def _runs(path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples) -> Iterator[Mapping[str, Array]]:
    tracer = tracer_of(artifact.format)
    # Without a bundle nothing says which sizes a file of fixed shapes was made for.
    if tracer is None or (format_of(artifact.format).has_fixed_shapes and not artifact.signatures):
        return
    signature = artifact.signatures[0] if artifact.signatures else None
    feeds = _fixed(samples, spec, dict(signature.sizes)) if signature else feeds_of(samples, spec)
    yield from tracer.stored_steps(path, feeds, signature)


def _fixed(samples: Samples, spec: ModelSpec, sizes: Mapping[str, int]) -> Sequence[Feed]:
    """Feeds of exactly these sizes; none where the samples have others than the batch."""
    batch = spec.batch_axis
    if batch is None:
        feeds = feeds_of(samples, spec)
    else:
        starts = range(0, len(samples), sizes[batch])
        rows = [np.arange(start, start + sizes[batch]) % len(samples) for start in starts]
        feeds = [{name: array[part] for name, array in samples.inputs.items()} for part in rows]
    fits = all(feeds[0][tensor.name].shape == tensor.concrete(sizes) for tensor in spec.inputs)
    return feeds if fits else []
