"""Validation on this machine: parity and accuracy of opened artifacts, each in its own backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

from edgekit.core.bundle import CASES, Artifact
from edgekit.core.errors import BundleUnreadable, EdgekitError
from edgekit.core.reports.report import Accuracy, ParityCheck
from edgekit.core.samples import Samples
from edgekit.core.system.native.forks import apart
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.export.checking.accuracy import with_quality
from edgekit.export.checking.artifact_checks import check_artifact
from edgekit.export.checking.cases import Case, load_cases
from edgekit.flows.fleet.profiled import ITS_OWN
from edgekit.flows.opening.artifacts import Opened, open_session

_Found: TypeAlias = tuple[tuple[ParityCheck, ...], Accuracy]


class Validated(NamedTuple):
    """Parity and accuracy of artifacts, and the errors of those that could not be validated."""

    parity: tuple[ParityCheck, ...]
    accuracy: tuple[Accuracy, ...]
    failed: dict[str, EdgekitError]


def validated(
    found: Opened, artifacts: Sequence[Artifact], progress: Progress, evaluation: Samples | None = None
) -> Validated:
    """Parity of every artifact on the samples and cases of its bundle, and its accuracy.

    An artifact that crashes its backend, or that the backend cannot open, costs only its own figures.

    Args:
        evaluation: More samples than travel in the bundle, for the quality alone: they have no reference outputs.
    """
    parity: list[ParityCheck] = []
    accuracy: list[Accuracy] = []
    failed: dict[str, EdgekitError] = {}
    cases = _cases(found)
    for done, one in enumerate(artifacts, start=1):
        try:
            work = partial(_validate_one, found, one, cases, evaluation)
            checks, quality = apart(work, _Found, found.files[one.recipe])
        except ITS_OWN as err:
            failed[one.recipe] = err
            continue
        parity += checks
        accuracy += [quality]
        progress.step(done, len(artifacts), one.recipe)
    return Validated(tuple(parity), tuple(accuracy), failed)


def _validate_one(found: Opened, artifact: Artifact, cases: Sequence[Case], evaluation: Samples | None) -> _Found:
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
