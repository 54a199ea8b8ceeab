"""How a user's network writes its points: the reading of its outputs that is nearest to the points of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import Final, NamedTuple

import numpy as np
from msgspec import structs

from edgekit.core.errors import UserError
from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import KeypointsOutput
from edgekit.core.statistics.by_sample import over_all
from edgekit.runtime.tasks.keypoints import KEYPOINTS, points, true_points

# Samples on which the readings are compared.
_TRIED: Final = 50
_PLANE, _WITH_SCORE, _HEATMAP_AXES = 2, 3, 3


class KeypointReading(NamedTuple):
    """A reading of the outputs, and the mean distance of its points from the true ones, in pixels."""

    how: KeypointsOutput
    distance: float


def with_keypoint_form(spec: ModelSpec, samples: Samples) -> tuple[ModelSpec, tuple[str, ...]]:
    """The spec with the reading of its outputs, and a note of it; unchanged for other tasks and where it is known.

    Args:
        samples: With points and the reference outputs.

    Raises:
        UserError: No outputs have the shape of as many points.
    """
    if spec.task != KEYPOINTS or spec.postprocessing is not None or KEYPOINTS not in samples.targets:
        return spec, ()
    few = samples.take(slice(0, _TRIED))
    count = true_points(few).shape[1]
    readings = [one for how in _possible(few.expected, count) if (one := _tried(spec, how, few)) is not None]
    if not readings:
        shapes = ", ".join(f"{name} {array.dtype} {list(array.shape[1:])}" for name, array in samples.expected.items())
        raise UserError(
            f"No output of '{spec.name}' contains {count} points; per sample: {shapes}.",
            hint="Return coordinates [N, points, 2], heatmaps [N, points, H, W], or the two vectors of SimCC.",
        )
    best = min(readings, key=lambda one: one.distance)
    read = structs.replace(spec, postprocessing=best.how)
    return read, (_note(best, read, few),)


def _note(best: KeypointReading, spec: ModelSpec, samples: Samples) -> str:
    how = best.how
    kinds = {
        "simcc": f"'{how.points}' and '{how.rows}' were read as SimCC",
        "heatmaps": f"'{how.points}' was read as heatmaps",
        "coordinates": f"'{how.points}' was read as coordinates {'y, x' if how.y_first else 'x, y'} in "
        f"{'pixels' if how.unit == 'pixels' else 'shares of the image'}",
    }
    assert spec.metric is not None
    metric = over_all(spec.metric.name)
    assert metric is not None
    value = metric(samples.expected, samples, spec)(np.arange(len(samples)))
    return (
        f"{kinds[how.form]}: {spec.metric.name} {value:.3f} on the first samples, {best.distance:.1f} pixels away on "
        "average"
    )


def _tried(spec: ModelSpec, how: KeypointsOutput, samples: Samples) -> KeypointReading | None:
    true = true_points(samples)
    try:
        found = points(samples.expected, structs.replace(spec, postprocessing=how))
    except UserError:
        return None
    known = true[..., 2] > 0
    if found.shape != true.shape or not known.any():
        return None
    return KeypointReading(how, float(np.linalg.norm(found[..., :2] - true[..., :2], axis=2)[known].mean()))


def _possible(outputs: Feed, count: int) -> Iterator[KeypointsOutput]:
    """Every reading that the shapes of the outputs allow; of equal ones the first counts."""
    sizes = {name: int(np.prod(array.shape[1:])) for name, array in outputs.items() if array.dtype.kind in "fiu"}
    for name, size in sizes.items():
        for with_score in (width == _WITH_SCORE for width in (_PLANE, _WITH_SCORE) if size == width * count):
            for unit, y_first in product(("pixels", "share"), (False, True)):
                yield KeypointsOutput(
                    name, unit="share" if unit == "share" else "pixels", with_score=with_score, y_first=y_first
                )
    for name in sizes:
        shape = outputs[name].shape
        if len(shape) > _HEATMAP_AXES and count in (shape[-1], shape[-_HEATMAP_AXES]):
            yield from (
                KeypointsOutput(name, form="heatmaps", channels_last=last)
                for last in (False, True)
                if shape[-1 if last else -_HEATMAP_AXES] == count
            )
    vectors = [name for name in sizes if outputs[name].ndim > _PLANE and outputs[name].shape[-_PLANE] == count]
    for columns, rows in permutations(vectors, 2):
        yield KeypointsOutput(columns, rows=rows, form="simcc")
