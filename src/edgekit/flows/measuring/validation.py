"""Validation on this machine: parity and accuracy of opened artifacts, each in its own backend."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.core.bundle import CASES, Artifact
from edgekit.core.errors import BundleUnreadable
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.export.checking.artifact_checks import check_artifact
from edgekit.export.checking.cases import Case, load_cases
from edgekit.flows.opening.artifacts import Opened, open_session


def validated(
    found: Opened, artifacts: Sequence[Artifact], progress: Progress
) -> tuple[tuple[ParityCheck, ...], tuple[Accuracy, ...]]:
    """Parity of every artifact on the samples and cases of its bundle, and its accuracy."""
    parity: list[ParityCheck] = []
    accuracy: list[Accuracy] = []
    cases = _cases(found)
    for done, one in enumerate(artifacts, start=1):
        checks, quality = _validate_one(found, one, cases)
        parity += checks
        accuracy += [quality]
        progress.step(done, len(artifacts), one.recipe)
    return tuple(parity), tuple(accuracy)


def _validate_one(found: Opened, artifact: Artifact, cases: Sequence[Case]) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    with open_session(found, artifact, Target("local")) as session:
        return check_artifact(session, found.files[artifact.recipe], artifact, found.spec, found.samples, cases)


def _cases(found: Opened) -> tuple[Case, ...]:
    if found.bundle is None or CASES not in found.bundle.manifest.files:
        return ()
    return load_cases(found.bundle.root / CASES, BundleUnreadable)
