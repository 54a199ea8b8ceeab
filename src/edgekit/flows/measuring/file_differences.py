"""How the files of two sides differ besides their latency: size, operators, and the outputs for the same inputs."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

import numpy as np

from edgekit.core.errors import EdgekitError, EnvironmentFault, ModelUnreadable
from edgekit.core.reports.comparison import FileDifferences, OutputDifference
from edgekit.core.samples import Feed
from edgekit.core.system.native.forks import apart
from edgekit.core.target import Target
from edgekit.export.checking.difference import Difference, Magnitude
from edgekit.export.formats import contents_reader_of
from edgekit.flows.measuring.sides import Side, samples_for
from edgekit.flows.opening.artifacts import feed_at, open_session
from edgekit.runtime.preprocessing import integers_as_reals

_ROWS: Final = 16


def file_differences(a: Side, b: Side) -> FileDifferences:
    """The differences of two opened artifacts that take the same inputs; their outputs are those on this machine.

    Both run on the samples of A. Outputs that cannot be compared are left out, with the reason.
    """
    rows = min(len(a.found.samples), _ROWS)
    outputs: tuple[OutputDifference, ...] = ()
    reason = ""
    try:
        work = partial(_all_outputs_compared, a, b, rows)
        outputs = apart(work, tuple[OutputDifference, ...], b.found.files[b.artifact.recipe])
    except EdgekitError as err:
        reason = err.message
    return FileDifferences(
        size_a_bytes=a.artifact.size_bytes,
        size_b_bytes=b.artifact.size_bytes,
        operators_a=_operators(a),
        operators_b=_operators(b),
        outputs=outputs,
        generated=not a.found.samples.expected,
        reason=reason,
    )


def _all_outputs_compared(a: Side, b: Side, rows: int) -> tuple[OutputDifference, ...]:
    return _compared(_outputs(a, a, rows), _outputs(b, a, rows), rows)


def _operators(side: Side) -> dict[str, int]:
    """Operators by type; none where the format, or the package that reads it, is not known here."""
    read = contents_reader_of(side.artifact.format)
    with suppress(EnvironmentFault, ModelUnreadable):
        if read:
            return read(side.found.files[side.artifact.recipe], side.found.spec).facts(side.name).operators
    return {}


def _outputs(side: Side, a: Side, rows: int) -> list[Feed]:
    """The outputs of one side for each of the first samples of A, one at a time."""
    samples = samples_for(side, a)
    feeds = [feed_at(a.found.spec, samples, row) for row in range(rows)]
    with open_session(side.found, side.artifact, Target("local")) as session:
        return [session.run(integers_as_reals(feed, session.inputs, ())) for feed in feeds]


def _compared(a: list[Feed], b: list[Feed], rows: int) -> tuple[OutputDifference, ...]:
    """Every output of both; those of other names by their order, as converters rename them."""
    if not a or len(a[0]) != len(b[0]):
        raise ModelUnreadable(f"A returns {len(a[0]) if a else 0} outputs, B {len(b[0]) if b else 0}.")
    others = list(a[0]) if a[0].keys() == b[0].keys() else list(b[0])
    return tuple(_difference(name, other, a, b, rows) for name, other in zip(a[0], others, strict=True))


def _difference(name: str, other: str, a: list[Feed], b: list[Feed], rows: int) -> OutputDifference:
    shapes = [(one[name].shape, two[other].shape) for one, two in zip(a, b, strict=True)]
    unequal = next((pair for pair in shapes if pair[0] != pair[1]), None)
    if unequal is not None:
        raise ModelUnreadable(f"Output '{name}' has shape {unequal[0]} in A and {unequal[1]} in B.")
    first, second = (np.concatenate([one[key].reshape(-1) for one in side]) for key, side in ((name, a), (other, b)))
    found = Difference.between(first, second)
    top1 = None
    if len({shape for shape, _ in shapes}) == 1 and first.size > rows:
        top1 = Difference.between(first.reshape(rows, -1), second.reshape(rows, -1)).top1
    return OutputDifference(name, found.largest, Magnitude.of(first).span, found.sqnr_db(), top1, rows)
