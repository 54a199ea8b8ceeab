"""`edgekit validate`: parity and accuracy of every artifact in every backend that opens it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from edgekit.core.errors import UserError
from edgekit.core.reports.report import Outcome, Report
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import worst
from edgekit.flows.measuring.validation import validated
from edgekit.flows.opening.artifacts import Opened, opened
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
        chosen = known.chosen(artifact)
        parity, accuracy = validated(known, chosen, progress)
    verdict = worst(check.verdict for check in parity)
    return Report(
        command="validate",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=known.spec,
        bundle=str(path),
        split=known.bundle.manifest.split if known.bundle else None,
        artifacts=chosen,
        parity=parity,
        accuracy=accuracy,
        outcomes=(Outcome("local", verdict),),
        tools=versions(),
        verdict=verdict,
        seed=settings.seed,
    )


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
