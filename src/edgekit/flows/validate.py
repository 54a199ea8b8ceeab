"""`edgekit validate`: parity and accuracy of artifacts, or whether trained weights match their model card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError, EnvironmentFault, ModelUnreadable, UserError
from edgekit.core.reports.quality import QualityReport
from edgekit.core.reports.report import Outcome, Report, parity_verdict
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.files import sha256_file
from edgekit.core.system.installation import origin
from edgekit.core.system.progress import Progress, Silent
from edgekit.core.system.settings import Settings
from edgekit.core.verdict import Verdict, worst
from edgekit.export.formats import contents_reader_of
from edgekit.flows.describing.description import Description
from edgekit.flows.fleet.profiled import Profiled, missing_of
from edgekit.flows.judging.quality import agreement
from edgekit.flows.measuring.findings import Findings
from edgekit.flows.measuring.validation import validated
from edgekit.flows.opening.artifacts import Opened, is_bare, opened, runnable_here
from edgekit.flows.opening.held_back import held_back
from edgekit.flows.opening.source import RUN_FILE
from edgekit.train.registry import MODELS

if TYPE_CHECKING:
    from edgekit.train.model import ReferenceModel
    from edgekit.train.score import Score


@dataclass(frozen=True)
class _Claim:
    """Weights, and what is said of them."""

    model: ReferenceModel
    spec: ModelSpec
    weights: Path
    score: Score
    data_digest: str


def validate(
    path: str | Path,
    *,
    artifact: Sequence[str] = (),
    reference: str | Path | None = None,
    samples: Path | None = None,
    data: Path | None = None,
    labels: Path | None = None,
    task: str = "",
    preprocess: str = "",
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> Report:
    """Parity of every artifact with the reference outputs in the bundle, and its accuracy; or that of a file alone.

    The accuracy is that of all samples held back when the bundle was made, where they are found, otherwise of those in
    the bundle, as are the drop and parity.

    Args:
        path: A bundle, or a bare `.onnx` or `.tflite` together with `reference` or `samples`.
        artifact: Recipe names or aliases; all artifacts if empty.
        reference: A bundle whose samples a bare file must reproduce.
        samples: The file that the bundle was made from, if it is not found by its name; or of a bare file, real inputs
            with labels, as `build` takes them.
        data: Folder of data sets, for a bundle of a reference model; `settings.data` if None.
        labels: What is true of the samples of a bare file, or the names of its classes, as in `build`, and so `task`
            and `preprocess`.

    Raises:
        UserError: A bare file without a reference and samples, inputs with different names, `samples` of another bundle
            or without labels, or a description of what has its own.
    """
    said = Description(labels, preprocess, task)
    if is_bare(Path(path)) and samples is not None and reference is None:
        return _alone(Path(path), artifact, samples, said, settings, progress)
    if said.options:
        reason = "is judged on the samples of its reference" if is_bare(Path(path)) else "has its own"
        raise UserError(
            f"{said.options[0]} does not apply to '{path}', which {reason}.", hint=f"Omit {said.options[0]}."
        )
    with (
        opened(Path(path), with_samples=not is_bare(Path(path))) as found,
        _with_reference(found, reference) as known,
    ):
        if not known.artifacts:
            raise UserError(f"'{path}' contains no artifact to validate.", hint=f"edgekit inspect {path}")
        chosen, left_out = (known.chosen(artifact), ()) if artifact else runnable_here(known.artifacts)
        folder = data or (Path(settings.data) if settings.data else None)
        evaluation = held_back(known.bundle, samples, folder, progress) if known.bundle else None
        parity, accuracy, failed = validated(known, chosen, progress, evaluation)
    if len(failed) == len(chosen):
        raise next(iter(failed.values()))
    profiled = Profiled(missing=[missing_of(name, "local", err) for name, err in failed.items()])
    split = known.bundle.manifest.split if known.bundle else None
    verdict = worst([parity_verdict(parity), *([Verdict.INCOMPLETE] if failed else [])])
    findings = Findings(known.spec, str(path), chosen, parity, accuracy, profiled, split=split, warnings=left_out)
    return findings.report("validate", settings, verdict=verdict, outcomes=(Outcome("local", verdict),))


def _alone(
    path: Path, names: Sequence[str], samples: Path, said: Description, settings: Settings, progress: Progress
) -> Report:
    """The metric of a bare file on labelled samples: there is nothing that it could fail."""
    # Readers of samples and metrics of tasks, which bundles do not need.
    from edgekit.flows.describing.file_quality import quality_of_file

    with opened(path, with_samples=False) as found:
        artifact = _with_precision(found.chosen(names)[0], found)
        quality = quality_of_file(found, artifact, samples, said, progress)
    findings = Findings(quality.spec, str(path), (artifact,), (), (quality.accuracy,), warnings=quality.notes)
    return findings.report("validate", settings, verdict=Verdict.PASS, outcomes=(Outcome("local", Verdict.PASS),))


def is_trained(source: str) -> bool:
    """True for a reference model and a run directory: they have weights and a model card but no artifacts."""
    return source in MODELS or (Path(source) / RUN_FILE).is_file()


def validate_quality(
    source: str,
    *,
    data: Path | None = None,
    settings: Settings = Settings(),
    progress: Progress = Silent(),
) -> QualityReport:
    """Recompute the headline metric of `source`.

    Args:
        source: A reference model with shipped weights, or a run directory.
        data: Folder of data sets; `settings.data` if None.

    Raises:
        EnvironmentFault: No weights are shipped, or the data is missing; the hint is a command.
        ModelUnreadable: The weights do not match the model card.
    """
    with progress.stage("load PyTorch"):
        claim = _run(Path(source)) if source not in MODELS else _shipped(source)
        from edgekit.train.evaluate import evaluate
    with progress.stage("read data"):
        dataset = claim.model.data(data or (Path(settings.data) if settings.data else None))
    with progress.stage("test"):
        found = evaluate(claim.model, claim.weights, dataset.test, spec=claim.spec)
    same = dataset.digest == claim.data_digest
    agrees, reason = agreement(found.metric, found.estimate, claim.score.estimate, same_data=same)
    return QualityReport(
        model=claim.spec.name,
        source=source,
        data=dataset.source,
        same_data=same,
        metric=found.metric,
        quality=found.estimate,
        card=claim.score.estimate,
        verdict=Verdict.PASS if agrees else Verdict.FAIL,
        reason=reason,
    )


@contextmanager
def _with_reference(found: Opened, reference: str | Path | None) -> Iterator[Opened]:
    """`found` with the samples of `reference`; as it is when it brings its own."""
    if reference is None:
        if not found.samples.expected:
            instead = (
                "export it with --include-samples" if found.bundle else "--samples PATH with labels, for its metric"
            )
            raise UserError(
                f"'{found.path}' has no reference outputs to compare with.",
                hint=f"edgekit validate {found.path} --reference BUNDLE, or {instead}",
            )
        yield found
        return
    with opened(Path(reference)) as other:
        _check_names(found, other)
        artifacts = tuple(_with_precision(one, found) for one in found.artifacts)
        yield Opened(found.path, other.spec, artifacts, found.files, other.samples, None, options=found.options)


def _with_precision(artifact: Artifact, found: Opened) -> Artifact:
    """The artifact of a bare file with the precision of its contents, which decides how much it may differ.

    Where they cannot be read, it stays unknown, and the file must reach what every artifact must.
    """
    read = contents_reader_of(artifact.format)
    if artifact.precision or read is None:
        return artifact
    try:
        contents = read(found.files[artifact.recipe], found.spec)
    except (EnvironmentFault, ModelUnreadable):
        return artifact
    return msgspec.structs.replace(artifact, precision=contents.precision)


def _check_names(found: Opened, other: Opened) -> None:
    got, wanted = ({tensor.name for tensor in one.spec.inputs} for one in (found, other))
    if got != wanted:
        raise UserError(f"'{found.path}' has the inputs {sorted(got)}, its reference has {sorted(wanted)}.")


def _shipped(name: str) -> _Claim:
    from edgekit.train.release_weights import read_card
    from edgekit.train.weights import require_weights, shipped_card

    model: ReferenceModel = MODELS.get(name)
    try:
        weights = require_weights(model)
    except EnvironmentFault as err:
        raise EnvironmentFault(err.message, hint=f"{err.hint}, then edgekit validate runs/{name}") from err
    path = shipped_card(name)
    if path is None:
        raise EdgekitError(f"The shipped weights of '{name}' have no model card.")
    card = read_card(path)
    if sha256_file(weights) != card.weights_sha256:
        raise ModelUnreadable(
            f"The checksum of '{weights}' does not match its model card.", hint=origin().restore(weights)
        )
    return _Claim(model, model.spec, weights, card.score, card.data.digest)


def _run(folder: Path) -> _Claim:
    from edgekit.train.training_run import read_run, trained_model

    run = read_run(folder)
    assert run.score is not None  # a finished run has one
    return _Claim(trained_model(run), run.spec, folder / run.weights, run.score, run.data.digest)
