"""All checks of one artifact. Where the task has a metric, it decides, and parity explains. Needs only numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from edgekit.core.bundle import Artifact, artifact_id
from edgekit.core.errors import ConversionFailed, ModelUnreadable
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.spec.metric import metric_traits
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import (
    DetectionOutput,
    KeypointsOutput,
    LabelsOutput,
    SegmentationOutput,
    TokensOutput,
    TranscriptOutput,
)
from edgekit.core.units import format_value
from edgekit.core.verdict import Verdict
from edgekit.export.checking.cases import Case
from edgekit.export.checking.overflow import overflow_checks
from edgekit.export.checking.parity import WHOLE, validate_artifact
from edgekit.export.checking.ranges import range_checks
from edgekit.export.checking.shares import share_checks
from edgekit.export.checking.tolerance import tolerance_of
from edgekit.runtime.backend import BACKENDS, Session, default_backend
from edgekit.runtime.backends.file_kind import consistent

# The most that quality may drop, at the upper end of its interval: in points of a share, as a part of an error.
MOST_POINTS: Final = 0.01
MOST_OF_ERROR: Final = 0.02
# In the record of an artifact: what `--max-drop` allows, what was measured, and on how many samples.
MAX_DROP: Final = "max_drop"
# In the record of an artifact that the metric passed: how much it drops at most, and on how many samples.
DECIDED: Final = "metric_decides"
# A case counts as the samples do if it has at most twice their noise amplitude, or no larger error than they.
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
        ModelUnreadable: The file cannot be opened for its ranges, or is damaged.
    """
    checks, accuracy = validate_artifact(session, artifact, spec, samples, cases, session.backend)
    with consistent(path, artifact.format):
        ranges = range_checks(path, artifact, spec, samples, session.backend)
        halves = overflow_checks(path, artifact, spec, samples, session.backend)
    judged = decided((*checks, *ranges), accuracy, artifact, spec)
    return (
        *judged,
        *halves,
        *share_checks(artifact, session.backend),
        *drop_checks(artifact, session.backend),
    ), accuracy


def decided(
    checks: Iterable[ParityCheck], accuracy: Accuracy, artifact: Artifact, spec: ModelSpec
) -> tuple[ParityCheck, ...]:
    """The checks of a quantized or float16 artifact, passed where the metric of its samples shows that quality holds.

    Only checks of the output that the metric judges are passed by it: those of the samples, those of cases that are as
    near to the reference as the samples, and the range of int8 values. Where `--max-drop` was given, it is the limit.
    """
    found = tuple(checks)
    reason = (
        _asked(accuracy, artifact) if MAX_DROP in artifact.record else _shown(accuracy) or _known(accuracy, artifact)
    )
    if tolerance_of(artifact.precision).difference is not None or not reason:
        return found
    whole = [one for one in found if one.case == WHOLE and _is_judged(one, spec)]
    return tuple(
        structs.replace(one, verdict=Verdict.PASS, reason=reason) if _is_explained(one, spec, whole) else one
        for one in found
    )


def with_decision(artifact: Artifact, accuracy: Accuracy, checks: Iterable[ParityCheck]) -> Artifact:
    """`artifact` with what its metric showed in its record, if that passed any of `checks`: a bundle contains too few
    samples to show it again."""
    reason = _shown(accuracy)
    if not reason or all(one.reason != reason for one in checks):
        return artifact
    decision = {"high": accuracy.drop.high, "reason": reason, "samples": accuracy.drop.n}
    record = {**artifact.record, DECIDED: decision}
    return structs.replace(artifact, record=record, id=artifact_id(record))


def drop_checks(artifact: Artifact, where: str) -> tuple[ParityCheck, ...]:
    """One check, that the drop is within what `--max-drop` allows; none without it."""
    found = artifact.record.get(MAX_DROP)
    if found is None:
        return ()
    verdict = Verdict.PASS if found["drop"] <= found["limit"] else Verdict.FAIL
    name, count = artifact.recipe, found["samples"]
    return (
        ParityCheck(
            name, where, "--max-drop", found["metric"], "drop", found["drop"], found["limit"], verdict, samples=count
        ),
    )


def with_drop(artifact: Artifact, accuracy: Accuracy, limit: float) -> Artifact:
    """`artifact` with what `--max-drop` allows and what was measured in its record: it is judged by that everywhere."""
    drop, count = accuracy.relative_drop, accuracy.drop.n
    record = {
        **artifact.record,
        MAX_DROP: {"metric": accuracy.metric, "limit": limit, "drop": drop, "samples": count},
    }
    return structs.replace(artifact, record=record, id=artifact_id(record))


def _asked(accuracy: Accuracy, artifact: Artifact) -> str:
    """That the drop is within what `--max-drop` allows; empty if it is not, or if these samples contradict."""
    found, low = artifact.record[MAX_DROP], accuracy.drop.low
    is_share = metric_traits(accuracy.metric).unit == "ratio"
    scale = 1.0 if is_share else accuracy.reference.value or 1.0
    if found["drop"] > found["limit"] or (low is not None and low / scale > found["limit"]):
        return ""
    shown, most = (format_value(found[key], "points") for key in ("drop", "limit"))
    count = found["samples"]
    return f"the metric decides: {found['metric']} drops by {shown} on {count} samples (--max-drop {most})"


def _shown(accuracy: Accuracy) -> str:
    """That the samples show that quality holds; empty if they do not."""
    limit, high = _limit(accuracy), accuracy.drop.high
    if limit is None or high is None or high > limit:
        return ""
    unit = "points" if metric_traits(accuracy.metric).unit == "ratio" else "1"
    shown, most = (format_value(one, unit) for one in (max(high, 0.0), limit))
    return f"the metric decides: {accuracy.metric} drops by at most {shown} (limit {most})"


def _known(accuracy: Accuracy, artifact: Artifact) -> str:
    """What more samples have shown when the artifact was made, unless these contradict; empty if nothing."""
    found, limit, low = artifact.record.get(DECIDED), _limit(accuracy), accuracy.drop.low
    if found is None or limit is None or low is None or low > limit or accuracy.drop.n >= found["samples"]:
        return ""
    return f"{found['reason']}, on {found['samples']} samples"


def _limit(accuracy: Accuracy) -> float | None:
    """The most that the metric may drop; None if it is unknown."""
    if metric_traits(accuracy.metric).unit == "ratio":
        return MOST_POINTS
    return None if accuracy.reference.value is None else MOST_OF_ERROR * abs(accuracy.reference.value)


def _is_judged(check: ParityCheck, spec: ModelSpec) -> bool:
    """Whether a check is of the output that the metric judges, or of one of both where two have the meaning."""
    name, how = check.output.partition("[...")[0], spec.postprocessing
    if isinstance(how, DetectionOutput):
        return name in (how.boxes, how.scores)
    if isinstance(how, SegmentationOutput | LabelsOutput | TranscriptOutput):
        return name == how.scores
    if isinstance(how, TokensOutput):
        return name == how.tokens
    if isinstance(how, KeypointsOutput):
        return name in (how.points, how.rows)
    return not spec.outputs or name == spec.outputs[0].name


def _is_explained(check: ParityCheck, spec: ModelSpec, whole: Sequence[ParityCheck]) -> bool:
    """Whether the metric says more than this check; `whole` are those of the same output on all samples."""
    if check.verdict is not Verdict.FAIL or (check.value is None and check.kind != "sqnr"):
        return False
    if check.kind == "range":
        return True
    if not _is_judged(check, spec) or check.value is None or check.kind not in ("sqnr", "agreement"):
        return False
    return check.case == WHOLE or (check.kind == "sqnr" and _is_as_near(check, whole))


def _is_as_near(check: ParityCheck, whole: Sequence[ParityCheck]) -> bool:
    """Whether a case is as near to the reference as the samples are: in decibels, or by its largest error."""
    assert check.value is not None
    decibels = [one.sqnr_db for one in whole if one.sqnr_db is not None]
    largest = max((one.max_abs for one in whole if one.max_abs is not None), default=0.0)
    is_within = check.max_abs is not None and check.max_abs <= largest
    return is_within or check.value >= min(decibels, default=0.0) - _NEAR_DB
