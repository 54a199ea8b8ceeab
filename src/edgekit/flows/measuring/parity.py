"""Outputs from a device, compared with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import read_arrays
from edgekit.export.checking.parity import compare_outputs
from edgekit.flows.opening.artifacts import Opened


def parity_on_target(
    found: Opened, artifact: Artifact, outputs: Path, rows: Sequence[Sequence[int]], *, where: str, case: str
) -> tuple[ParityCheck, ...]:
    """Checks of the outputs in the file `outputs`; none if the samples have no references.

    Args:
        rows: The samples of each feed, in order.
        where: The target.
        case: Name of the case in the checks.

    Raises:
        UserError: The outputs cannot be read.
    """
    if not found.samples.expected:
        return ()
    answers = read_arrays(outputs, UserError)
    samples = found.samples.take([row for fed in rows for row in fed])
    stack = np.concatenate if found.spec.batch_axis is not None else np.stack
    got = {name: stack([answers[f"{place}:{name}"] for place in range(len(rows))]) for name in samples.expected}
    return tuple(compare_outputs(artifact, found.spec, got, samples, where=where, case=case))
