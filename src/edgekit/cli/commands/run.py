"""`edgekit run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from edgekit.cli.arguments import axis_sizes_option, first_target, path_argument, path_type, state_option
from edgekit.cli.common import Call, Command, common
from edgekit.cli.completion import names, targets
from edgekit.cli.output import columns
from edgekit.core.units import format_value

if TYPE_CHECKING:
    from edgekit.core.reports.run import Answer, Curve, DetectedObject, Rates, RunReport, Saliency

_SHOWN_SCORES: Final = 5
_SHOWN_CHARACTERS: Final = 200
_SHOWN_VALUES: Final = 24
_TIMES: Final = (("h", 3600), ("min", 60), ("s", 1))


@click.command(
    "run",
    cls=Command,
    examples=[
        "edgekit run digits-bundle --input photo.png",
        "edgekit run digits.edgekit --artifact tflite-int8 --input sample:0",
        "edgekit run model.onnx --input x.npy --json",
        "edgekit run m.onnx --input a.png --labels l.txt --preprocess resize=224x224",
        "edgekit run yolo.onnx --task detection --labels coco.txt --input x.npy",
        "edgekit run forecast.edgekit --input hours.csv --output tomorrow.csv",
        "edgekit run digits.edgekit --input 3.png --explain --against onnx-int8",
        "edgekit run translate.edgekit --input 'a man rides a horse'",
        "edgekit run captions.edgekit --prompt 'a man in a' --max-tokens 12",
        "edgekit run dcgan.edgekit --input random:0 --output digit.png",
    ],
)
@path_argument
@click.option(
    "--input",
    multiple=True,
    metavar="FILE",
    help="A file that suits the model (image, wav, csv, txt, .npy, .npz), a sentence, sample:NUMBER of the bundle, "
    "or random:SEED; NAME=VALUE sets one input in all of them, e.g. sr=16000. Repeatable.",
)
@state_option
@click.option(
    "--stream",
    is_flag=True,
    help="The inputs are the parts of one stream: states continue from input to input. Otherwise each begins at zeros.",
)
@click.option(
    "--prompt",
    multiple=True,
    metavar="TEXT",
    help="A beginning that a decoder with a cache continues, instead of an input. Repeatable.",
)
@click.option(
    "--max-tokens",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    metavar="NUMBER",
    help="How many tokens are added to a prompt at most.",
)
@click.option(
    "--output",
    default="",
    metavar="FILE",
    help="Also write the outputs to FILE: .csv (curve, scores), .png (image), .txt (sentence, label), .npz or .json.",
)
@click.option(
    "--target",
    metavar="TARGET",
    shell_complete=targets(),
    help="local[/BACKEND][@key=value].  [setting: target]",
)
@click.option(
    "--artifact",
    default="",
    metavar="RECIPE",
    shell_complete=names("recipes"),
    help="The artifact to run.  [default: the first]",
)
@click.option(
    "--explain",
    is_flag=False,
    flag_value="saliency.png",
    default="",
    metavar="[FILE]",
    help="Draw where the prediction comes from: what it loses if a part of the input is hidden. FILE is a .png, or an "
    ".npz with the maps.  [default of FILE: saliency.png]  (Slow times are explained by `edgekit explain`.)",
)
@click.option(
    "--against",
    default="",
    metavar="RECIPE",
    shell_complete=names("recipes"),
    help="With --explain: a second artifact of the bundle; its saliency, the difference and their correlation.",
)
@click.option(
    "--labels",
    type=path_type,
    metavar="FILE",
    help="The class names of a bare file, one per line (or COCO's .json): its outputs are then read as --task says.",
)
@click.option(
    "--preprocess",
    default="",
    metavar="STEPS",
    help="How an image or a sound becomes the input of a bare file, as in `edgekit build`, e.g. 'resize=256,crop=224'.",
)
@click.option(
    "--task",
    default="",
    metavar="TASK",
    help="What the outputs of a bare file are: classification, detection or segmentation.  [default: classification "
    "with --labels]",
)
@click.option(
    "--boxes",
    default="",
    metavar="WORDS",
    help="What the values of a bare detector do not show of its boxes: xyxy, yxyx or cxcywh, pixels or share, "
    "objectness or background, comma-separated.",
)
@axis_sizes_option
@common()
def command(
    call: Call,
    path: Path,
    input: tuple[str, ...],
    state: tuple[str, ...],
    stream: bool,
    prompt: tuple[str, ...],
    max_tokens: int,
    output: str,
    target: str | None,
    artifact: str,
    explain: str,
    against: str,
    labels: Path | None,
    preprocess: str,
    task: str,
    boxes: str,
    sizes: tuple[str, ...],
) -> None:
    """Run a model on inputs and print its outputs.

    The spec of a bundle says how files become inputs, and whether outputs are labels with probabilities, objects
    with boxes, points, a mask, a curve, a sentence or an image. Without it, every output is printed as numbers.
    """
    from edgekit.flows.run import run

    settings = call.settings()
    with call.progress() as progress:
        found = run(
            path,
            input=input,
            state=state,
            stream=stream,
            prompt=prompt,
            max_tokens=max_tokens,
            target=target or first_target(settings.target),
            artifact=artifact,
            explain=explain,
            against=against,
            labels=labels,
            preprocess=preprocess,
            task=task,
            boxes=boxes,
            sizes=sizes,
            output=output,
            settings=settings,
            progress=progress,
        )
    for note in found.notes:
        call.note(note)
    call.answer(found, _text)


def _text(found: RunReport) -> str:
    lines = [line for answer in found.answers for line in _answer(answer, found.written)]
    lines += [line for one in found.saliency for line in _saliency(one)]
    return "\n".join([*lines, *(f"Written: {path}" for path in (found.written, found.explained) if path)])


def _saliency(one: Saliency) -> Iterator[str]:
    what = f"'{one.label}'" if one.label else "the outputs"
    yield f"{one.input}: {what} of {one.artifacts[0]} depends most on {' x '.join(map(str, one.peak))}"
    if len(one.artifacts) > 1:
        known = "not defined: a map is the same everywhere" if one.correlation is None else f"{one.correlation:.3f}"
        yield f"  correlation with the map of {one.artifacts[1]}: {known}"


def _answer(answer: Answer, written: str) -> Iterator[str]:
    yield answer.input
    if answer.scores:
        best = sorted(answer.scores, key=lambda score: -score.probability)[:_SHOWN_SCORES]
        rows = [("", score.label, format_value(score.probability, "ratio")) for score in best]
        yield columns(rows)
        return
    if answer.rates is not None:
        yield from _continued(answer, answer.rates)
        return
    if answer.text or answer.is_text:
        yield f"  {answer.text or '(no text)'}"
        return
    if answer.objects is not None:
        yield from _objects(answer.objects, written)
        return
    if answer.points is not None:
        points = [("", one.label, f"{one.x:.1f}", f"{one.y:.1f}", f"{one.score:.2f}") for one in answer.points]
        yield columns([("", "point", "x", "y", "score"), *points])
        yield from () if written else ("  (--output FILE.png draws them)",)
        return
    if answer.mask is not None:
        yield columns([("", one.label, format_value(one.share, "ratio")) for one in answer.mask])
        yield from () if written else ("  (--output FILE.png draws the mask)",)
        return
    if answer.curve is not None:
        yield from _curve(answer.curve)
    if answer.image:
        yield f"  an image of {answer.image[1]} x {answer.image[0]}" + ("" if written else " (--output FILE.png)")
    is_shown = answer.curve is not None or bool(answer.image)
    for place, (name, values) in enumerate(answer.outputs.items()):
        if place or not is_shown:
            yield f"  {name}  {_short(values)}"


def _continued(answer: Answer, rates: Rates) -> Iterator[str]:
    yield f"  {answer.text}"
    rest = "" if rates.decode_rate is None else f", then {rates.decode_rate:.0f} tokens/s"
    yield f"  first token after {format_value(rates.first_token_s, 's')} (prompt: {rates.prompt_tokens} tokens){rest}"


def _objects(objects: Sequence[DetectedObject], written: str) -> Iterator[str]:
    if not objects:
        yield "  no objects"
        return
    rows = [("", one.label, format_value(one.score, "ratio"), *(f"{edge:.0f}" for edge in one.box)) for one in objects]
    yield columns([("", "object", "score", "x1", "y1", "x2", "y2"), *rows[:_SHOWN_VALUES]])
    if len(rows) > _SHOWN_VALUES:
        yield f"  ... {len(rows) - _SHOWN_VALUES} more (--output FILE.csv writes all)"
    elif not written:
        yield "  (--output FILE.png draws them)"


def _curve(curve: Curve) -> Iterator[str]:
    unit, size = next((unit, size) for unit, size in _TIMES if curve.step_s >= size or size == 1)
    rows = [("", f"{curve.step_s * place / size:g} {unit}", f"{value:.4g}") for place, value in enumerate(curve.values)]
    yield columns([("", "time", curve.name), *rows[:_SHOWN_VALUES]])
    if len(rows) > _SHOWN_VALUES:
        yield f"  ... {len(rows) - _SHOWN_VALUES} more (--output FILE.csv writes all)"


def _short(values: list[Any]) -> str:
    text = msgspec.json.encode(values).decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}... (--json prints all)"
