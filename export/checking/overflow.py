"""Float16 that does not hold its values: backends on the CPU compute it in float32, others give infinities."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgekit.core.bundle import Artifact
from edgekit.core.errors import MissingExtra
from edgekit.core.reports.report import ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.verdict import Verdict
from edgekit.export.checking.sampling import feeds_of
from edgekit.export.checking.tolerance import QUANTIZED
from edgekit.export.formats import overflow_reader_of

KIND: Final = "overflow"
CASE: Final = "float16"
_ROWS: Final = 8
_NAMED: Final = 3


def overflow_checks(
    path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples, where: str
) -> tuple[ParityCheck, ...]:
    """One failing check if operators of the file overflow in float16 on the samples, else none.

    Also none where the packages that read the file are not installed.
    """
    read = overflow_reader_of(artifact.format) if artifact.precision not in QUANTIZED else None
    if read is None:
        return ()
    few = samples.take(slice(0, _ROWS))
    try:
        found = read(path, feeds_of(few, spec))
    except MissingExtra:
        return ()
    if not found:
        return ()
    first = ", ".join(f"'{name}' ({reason})" for name, reason in list(found.items())[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    reason = f"float16 holds up to 65504, which only the CPU exceeds by computing in float32: {first}{more}"
    name, where_first = artifact.recipe, next(iter(found))
    return (
        ParityCheck(
            name, where, CASE, where_first, KIND, float(len(found)), 0.0, Verdict.FAIL, samples=len(few), reason=reason
        ),
    )
