"""Calibration quality: warns of samples that do not give good activation ranges, with numbers. Needs only numpy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec
from edgekit.export.checking.difference import Floats

# Ranges of fewer distinct samples than this are those of the samples, not of the task.
FEW: Final = 8
# From this share of values beyond a range on, it is worth a warning.
OUTSIDE: Final = 0.01
# Means further apart than this, in standard deviations, or spreads that differ by this factor, are of other data.
_APART: Final = 1.0
_WIDER: Final = 2.0


def warnings_of(calibration: Samples, evaluation: Samples, spec: ModelSpec) -> tuple[str, ...]:
    """One sentence for each problem of the calibration samples."""
    return (
        *_counts(calibration, evaluation),
        *(text for one in spec.fed for text in _values(one, calibration, evaluation)),
    )


def _counts(calibration: Samples, evaluation: Samples) -> Iterator[str]:
    rows, others = _rows(calibration), set(_rows(evaluation))
    distinct = len(set(rows))
    if distinct < FEW:
        yield f"static int8 was calibrated on only {distinct} distinct samples; use 100 to 500: --calibration 200"
    if distinct < len(rows):
        yield f"{len(rows) - distinct} of {len(rows)} calibration samples are duplicates"
    leaked = sum(row in others for row in rows)
    if leaked:
        yield f"{leaked} of {len(rows)} calibration samples are also evaluation samples, so the accuracy is too high"


def _rows(samples: Samples) -> list[bytes]:
    """A digest of every sample."""
    names = sorted(samples.inputs)
    return [
        hashlib.sha256(b"".join(samples.inputs[name][row].tobytes() for name in names)).digest()
        for row in range(len(samples))
    ]


def _values(tensor: TensorSpec, calibration: Samples, evaluation: Samples) -> Iterator[str]:
    """What the values of one input tell; token ids and other integers have no range to speak of."""
    if "float" not in tensor.dtype:
        return
    ours, theirs = (np.asarray(one.inputs[tensor.name], np.float64) for one in (calibration, evaluation))
    low, high = float(ours.min()), float(ours.max())
    if low == high:
        yield f"every calibration value of '{tensor.name}' is {low:g}: that does not give a range"
        return
    yield from _beyond(tensor, ours, theirs, low, high)
    if theirs.min() != theirs.max() and _differs(ours, theirs):
        yield (
            f"calibration values of '{tensor.name}' are {ours.mean():.3g} ± {ours.std():.3g}, evaluation values "
            f"{theirs.mean():.3g} ± {theirs.std():.3g}: they do not look like the same data"
        )


def _beyond(tensor: TensorSpec, ours: Floats, theirs: Floats, low: float, high: float) -> Iterator[str]:
    cut = float(np.mean((theirs < low) | (theirs > high)))
    if cut > OUTSIDE:
        yield f"{cut:.1%} of the values of '{tensor.name}' saturate outside the calibrated {low:.3g} to {high:.3g}"
    if tensor.low is not None and tensor.high is not None:
        strange = float(np.mean((ours < tensor.low) | (ours > tensor.high)))
        if strange > OUTSIDE:
            yield (
                f"{strange:.1%} of the calibration values of '{tensor.name}' are outside the model's range of "
                f"{tensor.low:g} to {tensor.high:g}"
            )


def _differs(ours: Floats, theirs: Floats) -> bool:
    spread = float(np.std(theirs)) or 1.0
    ratio = (float(np.std(ours)) or 1e-12) / spread
    return abs(float(np.mean(ours)) - float(np.mean(theirs))) > _APART * spread or not 1 / _WIDER < ratio < _WIDER
