"""The metric of a bare file on the user's labelled samples, which are read as `build` reads them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

from msgspec import structs

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.reports.report import Accuracy
from edgekit.core.samples import Array
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.native.forks import apart
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.export.checking.accuracy import quality_alone, refuse_unfitting
from edgekit.export.checking.sampling import bounded, run_samples
from edgekit.export.checking.tasks.task_forms import with_form
from edgekit.flows.describing.description import Description
from edgekit.flows.opening.artifacts import Opened, open_session
from edgekit.flows.reading.held import Held
from edgekit.flows.reading.preprocess_option import with_preprocessing
from edgekit.flows.reading.sample_files import label_names, read_described
from edgekit.flows.reading.user_samples import completed, with_samples
from edgekit.runtime.backend import Session, stored_codes
from edgekit.runtime.backends.quantized import values_of

_Found: TypeAlias = tuple[ModelSpec, Accuracy, tuple[str, ...]]


class FileQuality(NamedTuple):
    """The metric of a file, the spec with the form of its outputs, and what was left out or found."""

    spec: ModelSpec
    accuracy: Accuracy
    notes: tuple[str, ...]


def quality_of_file(
    found: Opened, artifact: Artifact, samples: Path, said: Description, progress: Progress
) -> FileQuality:
    """The metric of a bare file: that of the task which its samples imply, unless the user names one.

    Args:
        samples: With labels, as `build` takes them; `said.labels` may have the objects or masks in them.

    Raises:
        UserError: The samples have no labels, or do not fit the file.
        ModelUnreadable: The file crashes its backend.
    """
    spec = with_preprocessing(found.spec, said.preprocess)
    spec = structs.replace(spec, labels=label_names(said.labels))
    with progress.stage("read samples"):
        held = read_described(samples, said.labels, spec.preprocessing if said.preprocess else None)
    with progress.stage(f"run {found.path.name}"):
        work = partial(_judged, found, artifact, spec, held, said)
        return FileQuality(*apart(work, _Found, found.files[artifact.recipe]))


def _judged(found: Opened, artifact: Artifact, spec: ModelSpec, held: Held, said: Description) -> _Found:
    with open_session(found, artifact, Target("local")) as session:
        given = with_samples(spec, held, partial(_values, session=session))
        if not given.samples.is_labelled:
            raise UserError(
                f"Samples '{held.path}' have no labels, so '{found.path}' has no metric.",
                hint="--labels FILE, or a folder for each class in --samples: see docs/samples.md",
            )
        used = bounded(given.samples, given.spec)
        outputs = run_samples(session, given.spec, used)
        where = session.backend
    answered = used.with_expected(outputs)
    described = completed(given.spec, used, said.task)
    refuse_unfitting(described, answered)
    described, notes = with_form(described, answered)
    left_out = (
        f"Of {len(given.samples):,} samples, {len(used):,} were run, evenly spaced: more outputs need too much memory."
    )
    notes = (*given.warnings, *([left_out] if len(used) < len(given.samples) else []), *notes)
    return described, quality_alone(artifact, described, answered, where), notes


def _values(array: Array, name: str, *, session: Session) -> Array:
    """What an array of the user means: codes of a quantized input are real numbers."""
    codes = stored_codes(session)
    return values_of(array, name, codes[name]) if name in codes else array
