"""Outputs from a device, compared with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgekit.core.bundle import Artifact
from edgekit.core.errors import DeviceError
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import read_outputs
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.checking.parity import compare_outputs
from edgekit.export.checking.sampling import joined
from edgekit.flows.opening.artifacts import Opened
from edgekit.flows.opening.states import chunk_of


def parity_on_target(
    found: Opened, artifact: Artifact, outputs: Path, rows: Sequence[Sequence[int]], *, where: str, case: str
) -> tuple[ParityCheck, ...]:
    """Checks of the outputs in the file `outputs`; none if the samples have no references.

    Args:
        rows: The samples of each feed, in order.
        where: The target.
        case: Name of the case in the checks.

    Raises:
        DeviceError: The outputs cannot be read, are not those of the model, or have other axes.
    """
    if not found.samples.expected:
        return ()
    samples = found.samples.take([row for fed in rows for row in fed])
    names = [name for name in samples.expected if not _is_of_call(found.spec, name) or len(rows) == len(samples)]
    if not names:
        return ()
    # The timed chunk of a stream comes before the samples.
    first = 1 if chunk_of(found.spec) else 0
    returned = read_outputs(outputs, first + len(rows), names, DeviceError)[first:]
    try:
        got = joined([{name: one[name] for name in names} for one in returned], found.spec)
    except (ValueError, IndexError) as err:
        raise DeviceError(f"The outputs of '{where}' do not have the shapes of the model: {err}.") from err
    samples = replace(samples, expected={name: samples.expected[name] for name in names})
    return tuple(compare_outputs(artifact, found.spec, got, samples, where=where, case=case))


def _is_of_call(spec: ModelSpec, name: str) -> bool:
    """Whether an output has one value per call: that of several samples cannot be compared with those of each."""
    return any(output.name == name and spec.batch_place(output) is None for output in spec.outputs)
