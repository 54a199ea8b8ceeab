"""Accuracy control: the fewest operators that must stay in float for a quantized artifact to lose little accuracy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import ConversionFailed, VerdictFailed
from edgekit.core.recipe import Recipe
from edgekit.core.reports.report import Accuracy
from edgekit.core.system.durable.owners import temporary_folder
from edgekit.export.checking.accuracy import measure_accuracy
from edgekit.export.checking.artifact_checks import decided, drop_checks, with_drop
from edgekit.export.mixing.candidates import candidates_of
from edgekit.export.mixing.fewest import fewest
from edgekit.export.mixing.trials import FLOAT, WIDE, MixedArtifact, QuantizedPair, Trials
from edgekit.export.request import ExportRequest, ExportResult
from edgekit.export.workers.worker import Worker
from edgekit.runtime.backend import BACKENDS, default_backend

_WIDE_FORMATS: Final = ("onnx",)
_WIDE_OPSET: Final = 21


def control_accuracy(result: ExportResult, request: ExportRequest, folder: Path, limit: float) -> ExportResult:
    """`result` after accuracy control of every quantized artifact in `folder` that drops more than `limit` (a share).

    All quantized artifacts are then judged by `limit`. One that cannot reach it stays as it was, and fails.

    Raises:
        VerdictFailed: An artifact drops too much even with every operator in float that can be, and the request does
            not keep going.
    """
    for artifact, accuracy in zip(result.artifacts, result.accuracy, strict=True):
        drop = accuracy.relative_drop
        if artifact.precision in ("fp32", "fp16") or drop is None:
            continue
        asked = with_drop(artifact, accuracy, limit)
        if drop <= limit:
            result = _with(result, _judged_again(asked, accuracy, result))
            continue
        try:
            result = _with(result, keep_in_float(_pair(asked, result, request, folder), limit, drop, request.timeout_s))
        except (VerdictFailed, ConversionFailed) as err:
            if not request.keep_going:
                raise
            failing = msgspec.structs.replace(asked, warnings=(*asked.warnings, err.message))
            result = _with(result, _judged_again(failing, accuracy, result))
    return result


def _pair(artifact: Artifact, result: ExportResult, request: ExportRequest, folder: Path) -> QuantizedPair:
    """A quantized artifact and the float artifact of its format."""
    whole = next((one for one in result.artifacts if one.recipe == f"{artifact.format}-fp32"), None)
    if whole is None:
        raise ConversionFailed(f"Accuracy control of '{artifact.recipe}' needs '{artifact.format}-fp32'.")
    return QuantizedPair(
        folder=folder,
        spec=result.spec,
        whole=folder / whole.file,
        signatures=whole.signatures,
        quantized=artifact,
        calibration=request.calibration,
        evaluation=result.evaluation,
        cases=result.cases,
        method=request.method,
        opset=request.opset,
    )


def _judged_again(artifact: Artifact, accuracy: Accuracy, result: ExportResult) -> MixedArtifact:
    """An artifact as it is, with the checks of its largest drop."""
    own = tuple(check for check in result.parity if check.artifact == artifact.recipe)
    checks = (*decided(own, accuracy, artifact, result.spec), *drop_checks(artifact, accuracy.where))
    return MixedArtifact(artifact, checks, accuracy)


def _with(result: ExportResult, new: MixedArtifact) -> ExportResult:
    """`result` with an artifact in its new form, and what was done among the warnings."""
    recipe = new.artifact.recipe
    kept = tuple(check for check in result.parity if check.artifact != recipe)
    said = [f"{recipe}: {text}" for text in new.artifact.warnings]
    place = next(place for place, one in enumerate(result.artifacts) if one.recipe == recipe)
    return replace(
        result,
        artifacts=(*result.artifacts[:place], new.artifact, *result.artifacts[place + 1 :]),
        parity=(*kept, *new.parity),
        accuracy=(*result.accuracy[:place], new.accuracy, *result.accuracy[place + 1 :]),
        warnings=(*result.warnings, *(text for text in said if text not in result.warnings)),
    )


def keep_in_float(pair: QuantizedPair, limit: float, before: float, timeout_s: float = 600.0) -> MixedArtifact:
    """Replace the quantized artifact, whose drop is `before`, by one whose drop is at most `limit` (both are shares).

    Raises:
        VerdictFailed: The drop is too large even with every operator in float that can be.
    """
    candidates = tuple(candidates_of(pair))
    with (
        temporary_folder() as folder,
        Worker(pair.quantized.format, timeout_s=timeout_s) as worker,
    ):
        for form in _forms(pair):
            trials = Trials(pair, Path(folder), worker, form, lambda path, artifact: _drop(pair, path, artifact))
            # A form in which even all of them do not help is not searched.
            if form == FLOAT or trials.measured(candidates) <= limit:
                chosen = fewest(candidates, trials.measured, limit)
                if chosen is not None:
                    return trials.accept(chosen, lambda drop: _gained(before, drop), measures_drop=True)
    recipe = pair.quantized.recipe
    raise VerdictFailed(
        f"Artifact '{recipe}' drops more than {100 * limit:g} pt even with every operator in float32 that the "
        "quantizer can leave out.",
        hint=f"edgekit bisect BUNDLE {pair.quantized.format}-fp32 {recipe}",
    )


def _drop(pair: QuantizedPair, path: Path, artifact: Artifact) -> float:
    backend = BACKENDS.get(default_backend(artifact.format))()
    with backend.open(path, {}, pair.spec) as session:
        drop = measure_accuracy(session, artifact, pair.spec, pair.evaluation, session.backend).relative_drop
    assert drop is not None
    return drop


def _gained(before: float, after: float) -> str:
    return f"the drop went from {100 * before:.2f} pt to {100 * after:.2f} pt"


def _forms(pair: QuantizedPair) -> tuple[str, ...]:
    """What operators that cost much accuracy are given, the smallest first."""
    is_static = Recipe.parse(pair.quantized.recipe).mode == "static"
    has_wide = pair.quantized.format in _WIDE_FORMATS and is_static and not 0 < pair.opset < _WIDE_OPSET
    return (WIDE, FLOAT) if has_wide else (FLOAT,)
