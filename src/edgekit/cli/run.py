"""`edgekit run`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from edgekit.cli.arguments import first_target, path_argument
from edgekit.cli.completion import names
from edgekit.cli.options import Call, Command, common
from edgekit.cli.output import columns
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.flows.run import Answer, Prediction

_SHOWN_SCORES: Final = 5
_SHOWN_CHARACTERS: Final = 200


@click.command(
    "run",
    cls=Command,
    examples=[
        "edgekit run digits-bundle --input photo.png",
        "edgekit run digits.edgekit --artifact tflite-int8 --input sample:0",
        "edgekit run model.onnx --input x.npy --json",
    ],
)
@path_argument
@click.option(
    "--input",
    multiple=True,
    metavar="FILE",
    help="An image, .npy or .npz file, or sample:NUMBER of the bundle. Repeatable.",
)
@click.option("--target", metavar="TARGET", help="local[/BACKEND][@key=value].  [setting: target]")
@click.option(
    "--artifact",
    default="",
    metavar="RECIPE",
    shell_complete=names("recipes"),
    help="The artifact to run.  [default: the first]",
)
@common()
def command(call: Call, path: Path, input: tuple[str, ...], target: str | None, artifact: str) -> None:
    """Run a model on input files and print its answers."""
    from edgekit.flows.run import run

    settings = call.settings()
    with call.progress() as progress:
        found = run(
            path,
            input=input,
            target=target or first_target(settings.target),
            artifact=artifact,
            settings=settings,
            progress=progress,
        )
    call.answer(found, lambda: _text(found))


def _text(found: Prediction) -> str:
    return "\n".join(line for answer in found.answers for line in _answer(answer))


def _answer(answer: Answer) -> Iterator[str]:
    yield answer.input
    if answer.scores:
        best = sorted(answer.scores, key=lambda score: -score.probability)[:_SHOWN_SCORES]
        rows = [("", score.label, format_value(score.probability, "ratio")) for score in best]
        yield columns(rows)
        return
    for name, values in answer.outputs.items():
        text = msgspec.json.encode(values).decode()
        short = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... (all of it with --json)"
        yield f"  {name}  {short}"
