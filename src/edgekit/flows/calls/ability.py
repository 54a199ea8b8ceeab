"""Which models, on which targets, can be timed from a file to a prediction."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from edgekit.core.errors import UserError
from edgekit.core.measurement import WHOLE
from edgekit.core.reports.report import Report
from edgekit.core.spec.input_kinds import AudioInput, ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import Opened
from edgekit.runtime.postprocessing import writes_text


def is_timed_on(target: Target) -> bool:
    """Whether calls on a target can begin with a file: the runners of other devices read arrays."""
    return target.device == "local"


def refuse_inference_alone(found: Opened, targets: Sequence[Target], batch: Sequence[int]) -> None:
    """Raise where only inference can be timed, and not what comes before and after it.

    Raises:
        UserError: A target is another device, the model is a bare file or makes no prediction in one call, or several
            samples are in one call.
    """
    path = shlex.quote(str(found.path))
    here = f"edgekit profile {path} --end-to-end"
    away = next((target for target in targets if not is_timed_on(target)), None)
    if away is not None:
        raise UserError(
            f"Files are read and outputs decoded on this machine only: '{away}' cannot be timed from end to end.",
            hint=f"{here} --target local",
        )
    if found.bundle is None:
        raise UserError(
            f"'{found.path}' does not contain how a file becomes its input, so it cannot be timed from end to end.",
            hint=f"edgekit export {path} --preprocess STEPS --out BUNDLE",
        )
    if reason := several_calls(found.spec):
        raise UserError(reason, hint=f"edgekit profile {path}")
    if max(batch) > 1:
        raise UserError("Calls from end to end have one file each, and no larger batch.", hint=f"{here} --batch 1")


def several_calls(spec: ModelSpec) -> str:
    """Why no call of a model goes from end to end, as a sentence; empty if calls do."""
    is_one = not spec.states and not writes_text(spec)
    return "" if is_one else f"'{spec.name}' makes a prediction in several calls, so none of them goes from end to end."


def has_sample_files(spec: ModelSpec) -> bool:
    """Whether a sample can become a file again, with which a call begins."""
    return isinstance(spec.preprocessing, ImageInput | AudioInput)


def refuse_other_calls(report: Report, path: Path) -> None:
    """Raise where the report in the file `path`, which is to be continued, timed no calls from end to end.

    Raises:
        UserError: It did not.
    """
    if any(not one.part(WHOLE).launches for one in report.measurements):
        message = f"'{path}' cannot be resumed: its calls were timed without reading a file."
        raise UserError(message, hint="Omit --resume.")
