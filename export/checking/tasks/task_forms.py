"""How the outputs of a user's network are written, by its task: found with labelled samples."""

from __future__ import annotations

from typing import Final

from edgekit.core.samples import Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.export.checking.tasks.detector_forms import with_detector_form
from edgekit.export.checking.tasks.keypoint_forms import with_keypoint_form
from edgekit.export.checking.tasks.label_forms import with_label_form
from edgekit.export.checking.tasks.segmentation_forms import with_segmentation_form
from edgekit.export.checking.tasks.transcript_forms import with_transcript_form
from edgekit.export.checking.tasks.translation_forms import with_translation_form

# One for each kind of task; each leaves the specs of the others as they are.
_FORMS: Final = (
    with_detector_form,
    with_segmentation_form,
    with_label_form,
    with_transcript_form,
    with_translation_form,
    with_keypoint_form,
)


def with_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with what its task says of its outputs, and how they were read.

    Args:
        samples: With labels and the reference outputs, which are those of the file itself where there is no other.

    Raises:
        UserError: No output has a form of the task.
    """
    notes: list[str] = []
    for form in _FORMS:
        spec, found = form(spec, samples)
        notes += found
    return spec, tuple(notes)
