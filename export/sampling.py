"""Running a session over samples."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec import ModelSpec
from edgekit.runtime.backend import Session

CHUNK: Final = 64


def feeds_of(samples: Samples, spec: ModelSpec) -> list[Feed]:
    """The samples as feeds: 64 rows at a time where the batch is free, else one sample at a time."""
    if spec.batch_axis is None:
        return [{name: array[row] for name, array in samples.inputs.items()} for row in range(len(samples))]
    starts = range(0, len(samples), CHUNK)
    return [{name: array[start : start + CHUNK] for name, array in samples.inputs.items()} for start in starts]


def joined(answers: list[Feed], spec: ModelSpec) -> Feed:
    """The answers to the feeds of `feeds_of` as one array an output, one row a sample."""
    join = np.stack if spec.batch_axis is None else np.concatenate
    return {name: join([answer[name] for answer in answers]) for name in answers[0]}


def run_samples(session: Session, spec: ModelSpec, samples: Samples) -> Feed:
    """What the session answers for every sample: `{name: (S, ...)}`."""
    return joined([session.run(feed) for feed in feeds_of(samples, spec)], spec)
