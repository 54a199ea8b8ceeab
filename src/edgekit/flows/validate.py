"""`edgekit validate`: parity and accuracy of every artifact in every backend that opens it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from edgekit.core.bundle import CASES, Artifact
from edgekit.core.errors import BundleUnreadable, UserError
from edgekit.core.reports.report import Accuracy, Outcome, ParityCheck, Report
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.target import Target
from edgekit.core.verdict import worst
from edgekit.export.checking.cases import Case, load_cases
from edgekit.export.checking.parity import validate_artifact
from edgekit.export.checking.ranges import range_checks
from edgekit.flows.opening.artifacts import Opened, open_session, opened
from edgekit.flows.opening.versions import versions


def validate(
    path: str | Path,
    *,
    artifact: Sequence[str] = (),
    reference: str | Path | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Report:
    """Parity of every artifact with the reference outputs that travel in the bundle, and its accuracy.

    Args:
        path: A bundle, or a bare `.onnx` or `.tflite` together with `reference`.
        artifact: Recipe names or aliases; all artifacts for none.
        reference: A bundle whose samples a bare file must reproduce.

    Raises:
        UserError: A bare file without a reference, or names that do not fit.
    """
    with opened(Path(path)) as found, _with_reference(found, reference) as known:
        parity: list[ParityCheck] = []
        accuracy: list[Accuracy] = []
        cases = _cases(known)
        chosen = known.chosen(artifact)
        for done, one in enumerate(chosen, start=1):
            checks, quality = _validate_one(known, one, cases)
            parity += checks
            accuracy += [quality]
            progress.step(done, len(chosen), one.recipe)
    verdict = worst(check.verdict for check in parity)
    return Report(
        command="validate",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=known.spec,
        bundle=str(path),
        split=known.bundle.manifest.split if known.bundle else None,
        artifacts=chosen,
        parity=tuple(parity),
        accuracy=tuple(accuracy),
        outcomes=(Outcome("local", verdict),),
        tools=versions(),
        verdict=verdict,
        seed=settings.seed,
    )


def _validate_one(found: Opened, artifact: Artifact, cases: Sequence[Case]) -> tuple[tuple[ParityCheck, ...], Accuracy]:
    with open_session(found, artifact, Target("local")) as session:
        checks, accuracy = validate_artifact(session, artifact, found.spec, found.samples, cases, session.backend)
    path = found.files[artifact.recipe]
    return (*checks, *range_checks(path, artifact, found.spec, found.samples, checks[0].where)), accuracy


def _cases(found: Opened) -> tuple[Case, ...]:
    if found.bundle is None or CASES not in found.bundle.manifest.files:
        return ()
    return load_cases(found.bundle.root / CASES, BundleUnreadable)


@contextmanager
def _with_reference(found: Opened, reference: str | Path | None) -> Iterator[Opened]:
    """`found` with the samples of `reference`; as it is when it brings its own."""
    if reference is None:
        if not found.samples.expected:
            raise UserError(
                f"'{found.path}' has no reference outputs to be checked against.",
                hint=f"edgekit validate {found.path} --reference BUNDLE"
                + (", or export it with --include-samples" if found.bundle else ""),
            )
        yield found
        return
    with opened(Path(reference)) as other:
        _check_names(found, other)
        yield Opened(found.path, other.spec, found.artifacts, found.files, other.samples, None)


def _check_names(found: Opened, other: Opened) -> None:
    got, wanted = ({tensor.name for tensor in one.spec.inputs} for one in (found, other))
    if got != wanted:
        raise UserError(f"'{found.path}' takes {sorted(got)}, its reference has {sorted(wanted)}.")
