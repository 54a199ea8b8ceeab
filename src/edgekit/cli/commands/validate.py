"""`edgekit validate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import artifact_option, data_option, parts, path_type, report_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names
from edgekit.cli.output import columns
from edgekit.core.errors import UserError
from edgekit.core.spec.metric import metric_unit
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.quality import QualityReport
    from edgekit.core.reports.report import Estimate


@click.command(
    "validate",
    cls=Command,
    examples=[
        "edgekit validate digits-bundle",
        "edgekit validate digits.edgekit --artifact tflite-int8",
        "edgekit validate model.onnx --reference digits-bundle",
        "edgekit validate m.onnx --samples photos --preprocess resize=224x224",
        "edgekit validate mnist --data data",
    ],
)
@click.argument(
    "path",
    type=path_type,
    shell_complete=names("models", files=True),
    help="A bundle, a bare .onnx or .tflite file, a reference model with shipped weights, or a run directory.",
)
@artifact_option
@click.option(
    "--reference", type=path_type, metavar="BUNDLE", help="A bundle with samples that a bare file must agree with."
)
@click.option(
    "--samples",
    type=path_type,
    metavar="PATH",
    help="Labelled inputs of a bare file, as in `edgekit build`; or the samples that a bundle was made from.  "
    "[default: a file of that name here or next to the bundle]",
)
@click.option(
    "--labels",
    type=path_type,
    metavar="PATH",
    help="What is true of the samples of a bare file, or its class names, as in `edgekit build`.",
)
@click.option(
    "--task", default="", metavar="TASK", help="The task of a bare file, if it does not follow from its samples."
)
@click.option(
    "--preprocess",
    default="",
    metavar="STEPS",
    help="How an image or a sound becomes the input of a bare file, as in `edgekit build`.",
)
@data_option
@report_option
@common(records=True)
def command(
    call: Call,
    path: Path,
    artifact: tuple[str, ...],
    reference: Path | None,
    samples: Path | None,
    labels: Path | None,
    task: str,
    preprocess: str,
    data: Path | None,
    report: tuple[Path, ...],
) -> int:
    """Check parity and accuracy of artifacts or of a trained model.

    Runs every artifact in its own backend on the samples of the bundle. Exits with 1 if one differs from the model it
    was made from. The accuracy is that of all samples held back for evaluation, if they are here.

    Of a bare file with labelled samples of your own, measures the metric of its task with its interval.

    For a reference model or run directory, recomputes the headline metric on the whole test split. Exits with 1 if it
    disagrees with the model card.
    """
    from edgekit.flows.validate import is_trained, validate

    if is_trained(str(path)):
        given: dict[str, object] = {"--artifact": artifact, "--reference": reference, "--samples": samples}
        given |= {"--labels": labels, "--task": task, "--preprocess": preprocess, "--report": report}
        _refuse(path, given, "has no artifacts")
        return _quality(call, path, data)
    if path.suffix in (".onnx", ".tflite"):
        _refuse(path, {"--data": data}, "is a file")
    if reference is not None:
        _refuse(path, {"--samples": samples}, "is judged on the samples of its reference")
    with call.progress() as progress:
        found = validate(
            path,
            artifact=parts(artifact),
            reference=reference,
            samples=samples,
            data=data,
            labels=labels,
            task=task,
            preprocess=preprocess,
            settings=call.settings(),
            progress=progress,
        )
    return call.show_report(found, files=report)


def _refuse(path: Path, given: Mapping[str, object], reason: str) -> None:
    for option, value in given.items():
        if value:
            raise UserError(f"{option} does not apply to '{path}', which {reason}.", hint=f"Omit {option}.")


def _quality(call: Call, path: Path, data: Path | None) -> int:
    from edgekit.flows.validate import validate_quality

    with call.progress() as progress:
        found = validate_quality(str(path), data=data, settings=call.settings(), progress=progress)
    call.answer(found, _text)
    return found.verdict.exit_code


def _text(found: QualityReport) -> str:
    unit = metric_unit(found.metric)
    rows = [
        (found.model, found.metric, *_estimate(found.quality, unit)),
        ("its card", found.metric, *_estimate(found.card, unit)),
    ]
    return f"{columns(rows)}\n{found.verdict.upper()}: {found.reason}"


def _estimate(estimate: Estimate, unit: str) -> tuple[str, str]:
    value, low, high = (format_value(one, unit) for one in (estimate.value, estimate.low, estimate.high))
    return value, f"({low} to {high}, n = {estimate.n})"
