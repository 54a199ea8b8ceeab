"""What an artifact returned for the samples of a case when it ran all samples. Needs only numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.checking.cases import Case
from edgekit.export.checking.difference import Difference
from edgekit.export.checking.parts import Part

# Dynamic int8 scales a batch as one tensor, so that the same sample has somewhat more noise in another batch.
STEADY_DB: Final = 1.0
STEADY: Final = "as near as the same samples are among all, which are judged together"


class AmongAll(NamedTuple):
    """PyTorch's outputs for all samples and the artifact's, of equal shapes; the first `rows` are those of a case."""

    expected: Array
    answer: Array
    rows: int

    def of(self, part: Part) -> AmongAll | None:
        """One part of both; None where it is outside of them."""
        expected, answer = part.of(self.expected), part.of(self.answer)
        return None if expected is None or answer is None else AmongAll(expected, answer, self.rows)


@dataclass(frozen=True)
class SameSamples:
    """The run over all samples, whose outputs are known once it is done."""

    spec: ModelSpec
    samples: Samples
    answers: Feed

    def of(self, case: Case, name: str) -> AmongAll | None:
        """One output for the samples of a case; None for other inputs, and where no axis holds samples."""
        feeds, rows, batch = self.samples.inputs, case.rows, self.spec.batch_axis
        answer, expected = self.answers.get(name), self.samples.expected.get(name)
        if batch is None or rows >= len(self.samples) or answer is None or expected is None:
            return None
        if any(not np.array_equal(array, feeds[one][:rows]) for one, array in case.feed.items()):
            return None
        same = answer.shape == expected.shape and case.expected[name].shape == expected[:rows].shape
        return AmongAll(expected, answer, rows) if same else None


def eased(limit: float, pair: AmongAll | None, least_power: float) -> float:
    """The least signal over noise in dB for a case.

    Few samples are above or below the limit by chance, where all of them together are judged by it: a case shows that
    another batch gives the same, so it fails if it is further from PyTorch than its own samples were among all.
    """
    if pair is None:
        return limit
    among = Difference.between(pair.expected, pair.answer).sqnr_db(least_power)
    known = Difference.between(pair.expected[: pair.rows], pair.answer[: pair.rows]).sqnr_db(least_power)
    if known is None or (among is not None and among < limit):
        return limit
    return min(limit, known - STEADY_DB)
