"""`edgekit deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgekit.cli.arguments import force_option
from edgekit.cli.common import Call, Command, common

if TYPE_CHECKING:
    from edgekit.core.reports.deploy import DeployReport


@click.command(
    "deploy",
    cls=Command,
    examples=[
        "edgekit deploy digits.edgekit --for python --out digits-program",
        "edgekit deploy digits.edgekit --for c --artifact onnx-int8 --out digits-c",
    ],
)
@click.argument("bundle", type=click.Path(path_type=Path), help="A bundle: a folder, or a file NAME.edgekit.")
@click.option(
    "--for", "language", required=True, metavar="LANGUAGE", help="Language of the program: python, c, cpp or js."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FOLDER", help="Folder to write.")
@click.option("--artifact", default="", metavar="RECIPE", help="Recipe or alias.  [default: the first that runs]")
@force_option
@common(acts=True)
def command(call: Call, bundle: Path, language: str, out: Path, artifact: str, force: bool) -> int:
    """Write a bundle as a program that needs no edgekit.

    The program contains one artifact with its labels and preprocessing, and a self-test with cases of the bundle.
    """
    from edgekit.flows.deploy import program_order

    return call.perform(
        lambda progress: program_order(
            bundle, language=language, out=out, artifact=artifact, force=force, progress=progress
        ),
        lambda found: call.answer(found, lambda: _text(found)),
    )


def _text(found: DeployReport) -> str:
    lines = [f"'{found.artifact}' is written as a program in '{found.language}': {found.out}"]
    lines.append(f"Its self-test has {found.cases} cases; {found.out}/README.md says how to run it.")
    return "\n".join(lines)
