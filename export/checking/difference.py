"""How far one array is from another: error, signal-to-noise ratio, the worst row. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Array

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Magnitude:
    """What an output looks like over all samples: its range, and its mean power. Only finite values count."""

    span: float
    power: float

    @classmethod
    def of(cls, array: Array) -> Magnitude:
        """The magnitude of one output; the range of a constant is its absolute value, that of an empty array 1."""
        if array.dtype.kind == "U":
            return cls(1.0, 0.0)
        values = np.asarray(array, dtype=np.float64)
        values = values[np.isfinite(values)]
        if not values.size:
            return cls(1.0, 0.0)
        span = float(values.max() - values.min()) or float(np.abs(values).max()) or 1.0
        return cls(span, float(np.mean(values**2)))


@dataclass(frozen=True)
class Difference:
    """The error of an output against its reference, element by element."""

    reference: Floats
    error: Floats
    answer: Floats

    @classmethod
    def between(cls, expected: Array, answer: Array) -> Difference:
        """Absolute differences of two arrays of one shape.

        Equal infinities and two NaNs do not differ; any other value that is not finite is infinitely far away.
        Text is either equal (0) or not (1).
        """
        if expected.dtype.kind == "U":
            wrong = (expected != answer).astype(np.float64)
            return cls(np.zeros_like(wrong), wrong, wrong)
        reference, values = np.asarray(expected, np.float64), np.asarray(answer, np.float64)
        with np.errstate(invalid="ignore"):
            error = np.abs(values - reference)
        same = (values == reference) | (np.isnan(values) & np.isnan(reference))
        return cls(reference, np.where(same, 0.0, np.where(np.isnan(error), np.inf, error)), values)

    @property
    def largest(self) -> float:
        """The largest absolute difference, 0 for arrays without elements."""
        return float(self.error.max(initial=0.0))

    @property
    def mean(self) -> float:
        """The mean absolute difference."""
        return float(self.error.mean()) if self.error.size else 0.0

    @property
    def equal_share(self) -> float:
        """The share of elements that are equal."""
        return float(np.mean(self.error == 0.0)) if self.error.size else 1.0

    def sqnr_db(self, least_power: float = 0.0) -> float | None:
        """The signal-to-noise ratio in dB; None if there is no noise.

        Args:
            least_power: The mean power to assume for the signal if the reference has less.
        """
        noise = float(np.mean(self.error**2)) if self.error.size else 0.0
        if noise == 0.0:
            return None
        power = max(Magnitude.of(self.reference).power, least_power)
        if not np.isfinite(noise) or power == 0.0:
            return float("-inf")
        return float(10 * np.log10(power / noise))

    @property
    def cosine(self) -> float | None:
        """The cosine of the angle between the two; None if one is all zeros or not finite."""
        sizes = float(np.linalg.norm(self.reference)) * float(np.linalg.norm(self.answer))
        if not sizes or not np.isfinite(sizes):
            return None
        return float(np.vdot(self.reference, self.answer)) / sizes

    @property
    def top1(self) -> float | None:
        """The share of rows whose largest value is at the same index; None if rows have only one value."""
        if self.reference.ndim < 2 or not self.reference.size or self.reference[0].size < 2:
            return None
        rows = (len(self.reference), -1)
        same = self.reference.reshape(rows).argmax(axis=1) == self.answer.reshape(rows).argmax(axis=1)
        return float(same.mean())

    def worst_row(self) -> int | None:
        """The row with the largest difference; None if there is no difference."""
        if not self.error.size or not self.error.any():
            return None
        return int(np.argmax(self.error.reshape(len(self.error), -1).max(axis=1))) if self.error.ndim else 0
