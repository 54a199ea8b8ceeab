"""`edgekit validate`."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.arguments import artifact_option, parts, path_argument, path_type, report_option
from edgekit.cli.options import Call, Command, common


@click.command(
    "validate",
    cls=Command,
    examples=[
        "edgekit validate digits-bundle",
        "edgekit validate digits.edgekit --artifact tflite-int8",
        "edgekit validate model.onnx --reference digits-bundle",
    ],
)
@path_argument
@artifact_option
@click.option(
    "--reference", type=path_type, metavar="BUNDLE", help="What a bare file must agree with: a bundle with samples."
)
@report_option
@common()
def command(call: Call, path: Path, artifact: tuple[str, ...], reference: Path | None, report: tuple[Path, ...]) -> int:
    """Check parity and accuracy of every artifact again.

    Every artifact runs in its own engine, on the samples that travel in the bundle. Ends with 1 when one differs from
    the model it was made from.
    """
    from edgekit.flows.validate import validate

    with call.progress() as progress:
        found = validate(
            path, artifact=parts(artifact), reference=reference, settings=call.settings(), progress=progress
        )
    return call.show_report(found, files=report)
