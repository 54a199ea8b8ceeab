"""All checks of one artifact. Where the task has a metric, it decides, and parity explains. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import structs

from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed, ModelUnreadable
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.spec import ModelSpec, metric_traits
from edgekit.core.units import format_value
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case
from edgekit.export.checking.parity import WHOLE, validate_artifact
from edgekit.export.checking.ranges import range_checks
from edgekit.export.checking.shares import share_checks
from edgekit.export.checking.tolerance import tolerance_of
from edgekit.runtime.backend import BACKENDS, Session, default_backend

# The most that quality may drop, at the upper end of its interval: in points of a share, as a part of an error.
MOST_POINTS: Final = 0.01
MOST_OF_ERROR: Final = 0.02
# A case counts as the samples do if it has at most twice their noise amplitude.
_NEAR_DB: Final = 6.0


def check_file(
    path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples, cases: Iterable[Case]
) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    """`check_artifact` of a file that was just made, in the backend of its format.

    Raises:
        ConversionFailed: The backend cannot open it.
    """
    backend = BACKENDS.get(default_backend(artifact.format))()
    try:
        with backend.open(path, {}, spec) as session:
            return check_artifact(session, path, artifact, spec, samples, cases)
    except ModelUnreadable as err:
        raise ConversionFailed(f"The converter of '{artifact.recipe}' wrote an invalid file: {err.message}") from err


def check_artifact(
    session: Session, path: Path, artifact: Artifact, spec: ModelSpec, samples: Samples, cases: Iterable[Case]
) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    """Parity on samples and cases, the int8 ranges in use, the quantized share, and accuracy.

    Args:
        session: The artifact at `path`, opened by the backend that will run it.
        samples: With `expected` from PyTorch.

    Raises:
        ModelUnreadable: The file cannot be opened for its ranges.
    """
    checks, accuracy = validate_artifact(session, artifact, spec, samples, cases, session.backend)
    ranges = range_checks(path, artifact, spec, samples, session.backend)
    judged = decided((*checks, *ranges), accuracy, artifact, spec)
    return (*judged, *share_checks(artifact, session.backend)), accuracy


def decided(
    checks: Iterable[ParityCheck], accuracy: Accuracy, artifact: Artifact, spec: ModelSpec
) -> tuple[ParityCheck, ...]:
    """The checks of a quantized or float16 artifact, passed where the metric of its samples shows that quality holds.

    Only checks of the output that the metric judges are passed by it: those of the samples, those of cases that are as
    near to the reference as the samples, and the range of int8 values.
    """
    found = tuple(checks)
    limit = _limit(accuracy)
    high = accuracy.drop.high
    if tolerance_of(artifact.precision).difference is not None or limit is None or high is None or high > limit:
        return found
    unit = "points" if metric_traits(accuracy.metric).unit == "ratio" else "1"
    shown, most = (format_value(one, unit) for one in (max(high, 0.0), limit))
    reason = f"the metric decides: {accuracy.metric} drops by at most {shown} (limit {most})"
    whole = [one.sqnr_db for one in found if one.case == WHOLE and one.sqnr_db is not None]
    nearest = min(whole, default=0.0) - _NEAR_DB
    return tuple(
        structs.replace(one, verdict=Verdict.PASS, reason=reason) if _is_explained(one, spec, nearest) else one
        for one in found
    )


def _limit(accuracy: Accuracy) -> float | None:
    """The most that the metric may drop; None if it is unknown."""
    if metric_traits(accuracy.metric).unit == "ratio":
        return MOST_POINTS
    return None if accuracy.reference.value is None else MOST_OF_ERROR * abs(accuracy.reference.value)


def _is_explained(check: ParityCheck, spec: ModelSpec, nearest: float) -> bool:
    if check.verdict is not Verdict.FAIL or (check.value is None and check.kind != "sqnr"):
        return False
    if check.kind == "range":
        return True
    judged = not spec.outputs or check.output.partition("[...")[0] == spec.outputs[0].name
    if not judged or check.value is None or check.kind not in ("sqnr", "agreement"):
        return False
    return check.case == WHOLE or (check.kind == "sqnr" and check.value >= nearest)
