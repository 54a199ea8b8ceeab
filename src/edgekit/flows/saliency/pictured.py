"""The pictures of a build's report: predictions that changed with both saliency maps, boxes, or masks."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgekit.core.bundle import Artifact
from edgekit.core.errors import EdgekitError
from edgekit.core.reports.pictured_samples import Panel, PicturedSample, Pictures
from edgekit.core.reports.report import Report
from edgekit.core.reports.run import DetectedObject, MaskShare
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import ImageInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import DetectionOutput, SegmentationOutput
from edgekit.core.system.optional import need
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import Opened, feed_at, missing_backend, open_session
from edgekit.flows.saliency import drawing
from edgekit.flows.saliency.maps import explained
from edgekit.flows.saliency.views import patches, view_of
from edgekit.flows.writing.drawn_masks import overlaid
from edgekit.flows.writing.drawn_objects import drawn
from edgekit.runtime.prediction import Prediction
from edgekit.runtime.preprocessing import is_raw, pixels_of

_SHOWN: Final = 3
_LONGEST_PX: Final = 640
# What a build may spend on them: on predictions of its samples, and on hiding patches in both artifacts.
_LOOK_S: Final = 2.0
_EXPLAIN_S: Final = 4.0
_LOCAL: Final = Target.parse("local")


class _Seen(NamedTuple):
    """The outputs of one artifact for the first samples, and the seconds of one run."""

    artifact: Artifact
    outputs: list[Feed]
    run_s: float


def with_pictures(report: Report, found: Opened, progress: Progress) -> Report:
    """The report with up to three of its samples; unchanged if they are something else, or nothing draws them here.

    What it costs is bounded: 2 s for predictions, 4 s for saliency.
    """
    chosen = _chosen(report, found.artifacts)
    if chosen is None or not isinstance(found.spec.preprocessing, ImageInput) or not found.samples.expected:
        return report
    if importlib.util.find_spec("PIL") is None or missing_backend(chosen.format) is not None:
        return report
    with progress.stage("draw samples"):
        try:
            pictures = _pictures(_seen(found, chosen), found, progress)
        # A picture is an extra: a file that its backend refuses has its own place in the report.
        except EdgekitError:
            return report
    return msgspec.structs.replace(report, pictures=pictures)


def _chosen(report: Report, artifacts: Sequence[Artifact]) -> Artifact | None:
    """The int8 artifact that a target chose, else the first of those that pass parity, else of all."""
    int8 = [one for one in artifacts if one.quantized is not None]
    names = {one.chosen for one in report.outcomes}
    right = [one for one in int8 if report.parity_of(one.recipe).value == "pass"]
    return next((one for one in int8 if one.recipe in names), next(iter([*right, *int8]), None))


def _seen(found: Opened, artifact: Artifact) -> _Seen:
    outputs: list[Feed] = []
    began = time.perf_counter()
    with open_session(found, artifact, _LOCAL) as session:
        for row in range(len(found.samples)):
            outputs.append(session.run(feed_at(found.spec, found.samples, row)))
            if time.perf_counter() - began > _LOOK_S:
                break
    return _Seen(artifact, outputs, (time.perf_counter() - began) / len(outputs))


def _pictures(seen: _Seen, found: Opened, progress: Progress) -> Pictures | None:
    how = found.spec.postprocessing
    if isinstance(how, DetectionOutput | SegmentationOutput):
        return _compared(seen, found)
    return _changed(seen, found, progress) if found.spec.scores_classes else None


def _expected(found: Opened, row: int) -> Feed:
    return {name: array[row : row + 1] for name, array in found.samples.expected.items()}


def _compared(seen: _Seen, found: Opened) -> Pictures:
    """Boxes or masks of the reference and of the artifact, of the first samples."""
    rows = range(min(_SHOWN, len(seen.outputs)))
    pictured = []
    for row in rows:
        pixels = _pixels(found, row)
        both = ("PyTorch", _expected(found, row)), (seen.artifact.recipe, seen.outputs[row])
        panels = tuple(_found(title, outputs, pixels, found.spec) for title, outputs in both)
        pictured.append(PicturedSample(row, "", panels))
    kind = "Objects" if isinstance(found.spec.postprocessing, DetectionOutput) else "Masks"
    text = f"{kind} in the first {len(rows)} of {len(found.samples)} samples, by PyTorch and by {seen.artifact.recipe}."
    return Pictures(seen.artifact.recipe, text, tuple(pictured))


def _pixels(found: Opened, row: int) -> NDArray[np.uint8]:
    how = found.spec.preprocessing
    assert isinstance(how, ImageInput)
    image = next(iter(feed_at(found.spec, found.samples, row).values()))[0]
    pixels = np.asarray(image, np.uint8) if is_raw(found.spec) else pixels_of(image, how)
    return np.array(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def _found(title: str, outputs: Feed, pixels: NDArray[np.uint8], spec: ModelSpec) -> Panel:
    seen = Prediction(outputs, spec)
    if seen.mask is not None:
        shares = tuple(MaskShare(*one) for one in seen.classes or ())
        return Panel(title, "", drawing.png(_bounded(overlaid(pixels, seen.mask, shares))))
    objects = tuple(DetectedObject(*one) for one in seen.objects or ())
    text = f"{len(objects)} object{'' if len(objects) == 1 else 's'}"
    return Panel(title, text, drawing.png(_bounded(drawn(pixels, objects))))


def _bounded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture, made smaller if a side is longer than 640 pixels: a report is read on a phone and sent by mail."""
    image_module = need("PIL.Image", extra="images")
    image = image_module.fromarray(pixels)
    image.thumbnail((_LONGEST_PX, _LONGEST_PX), image_module.Resampling.BOX)
    return np.asarray(image)


def _changed(seen: _Seen, found: Opened, progress: Progress) -> Pictures | None:
    """Samples whose likeliest class changed, most confident first, else the one that came nearest to it."""
    name = found.spec.outputs[0].name
    want = found.samples.expected[name][: len(seen.outputs)]
    have = np.concatenate([outputs[name] for outputs in seen.outputs])
    if want.ndim != 2 or want.shape != have.shape or want.shape[1] < 2:
        return None
    best, rows = want.argmax(1), np.arange(len(want))
    others = have.astype(np.float64).copy()
    others[rows, best] = -np.inf
    margin = have[rows, best] - others.max(axis=1)
    changed = np.flatnonzero(have.argmax(1) != best)
    shown = changed[np.argsort(margin[changed])][:_SHOWN] if len(changed) else [int(margin.argmin())]
    pictured = tuple(_explained(seen.artifact, found, list(map(int, shown)), have, want, seen.run_s, progress))
    what = f"{len(changed)} of {len(want)}" if len(changed) else f"none of {len(want)}"
    nearest = "" if len(changed) else " Shown is the sample that came nearest to it."
    text = f"In {seen.artifact.recipe} the likeliest class of {what} samples differs from PyTorch.{nearest}"
    return Pictures(seen.artifact.recipe, text, pictured, tuple(_left_out(found, seen, len(changed), pictured)))


def _left_out(found: Opened, seen: _Seen, changed: int, pictured: Sequence[PicturedSample]) -> Iterator[str]:
    more = changed - len(pictured)
    if more > 0:
        yield f"{more} more changed; 'run --input sample:NUMBER --explain' draws each."
    if any(len(one.panels) == 1 for one in pictured):
        yield f"Saliency that takes more than {_EXPLAIN_S:.0f} s in all was left out; 'run --explain' draws it."
    if len(seen.outputs) < len(found.samples):
        yield f"{len(found.samples) - len(seen.outputs)} samples were not looked at within {_LOOK_S:.0f} s."


def _explained(
    artifact: Artifact,
    found: Opened,
    rows: Sequence[int],
    have: NDArray[np.generic],
    want: NDArray[np.generic],
    run_s: float,
    progress: Progress,
) -> Iterator[PicturedSample]:
    """Each sample with the map of the float artifact and of the int8 one, as long as the time lasts."""
    base = next((one for one in found.artifacts if one.quantized is None and one.format == artifact.format), None)
    compared = [artifact] if base is None else [base, artifact]
    spent = 0.0
    for row in rows:
        before, after = (_label(found.spec, int(np.argmax(scores[row]))) for scores in (want, have))
        text = f"{before} in PyTorch, {after} in {artifact.recipe}"
        feed = feed_at(found.spec, found.samples, row)
        view = view_of(found.spec, feed)
        spent += run_s * len(compared) * _runs(view.sides(feed))
        if spent > _EXPLAIN_S:
            drawn_panels = [drawing.Drawn(f"sample {row}", "", drawing.enlarged(_pixels(found, row)))]
        else:
            shown = explained(found, compared, _LOCAL, [(f"sample {row}", feed)], progress)[0]
            drawn_panels = drawing.panels(shown, found.spec)
        panels = tuple(Panel(title, under, drawing.png(pixels)) for title, under, pixels in drawn_panels)
        yield PicturedSample(row, text, panels)


def _runs(sides: tuple[int, ...]) -> int:
    return int(np.prod([len(starts) for starts in patches(sides).starts]))


def _label(spec: ModelSpec, number: int) -> str:
    return spec.labels[number] if number < len(spec.labels) else str(number)
