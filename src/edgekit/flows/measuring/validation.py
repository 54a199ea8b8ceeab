"""Validation on this machine: parity and accuracy of opened artifacts, each in its own backend."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.bundle import CASES, Artifact
from edgekit.core.errors import BundleUnreadable
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.export.checking.accuracy import with_quality
from edgekit.export.checking.artifact_checks import check_artifact
from edgekit.export.checking.cases import Case, load_cases
from edgekit.flows.opening.artifacts import Opened, open_session


def validated(
    found: Opened, artifacts: Sequence[Artifact], progress: Progress, evaluation: Samples | None = None
) -> tuple[tuple[ParityCheck, ...], tuple[Accuracy, ...]]:
    """Parity of every artifact on the samples and cases of its bundle, and its accuracy.

    Args:
        evaluation: More samples than travel in the bundle, for the quality alone: they have no reference outputs.
    """
    parity: list[ParityCheck] = []
    accuracy: list[Accuracy] = []
    cases = _cases(found)
    for done, one in enumerate(artifacts, start=1):
        checks, quality = _validate_one(found, one, cases, evaluation)
        parity += checks
        accuracy += [quality]
        progress.step(done, len(artifacts), one.recipe)
    return tuple(parity), tuple(accuracy)


def _validate_one(
    found: Opened, artifact: Artifact, cases: Sequence[Case], evaluation: Samples | None
) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    path = found.files[artifact.recipe]
    with open_session(found, artifact, Target("local")) as session:
        checks, accuracy = check_artifact(session, path, artifact, found.spec, found.samples, cases)
        if evaluation is None:
            return checks, accuracy
        return checks, with_quality(accuracy, session, found.spec, evaluation)


def _cases(found: Opened) -> tuple[Case, ...]:
    if found.bundle is None or CASES not in found.bundle.manifest.files:
        return ()
    return load_cases(found.bundle.root / CASES, BundleUnreadable)
