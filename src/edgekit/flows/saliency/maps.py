"""The saliency of each input of `edgekit run --explain`, of one artifact or of two, with the picture of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.bundle import Artifact
from edgekit.core.errors import UserError
from edgekit.core.reports.run import Saliency
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.output_kinds import LabelsOutput
from edgekit.core.system.progress import Progress
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import Opened, open_session
from edgekit.flows.opening.states import before_a_stream
from edgekit.flows.opening.values import with_values
from edgekit.flows.saliency.occlusion import BatchRunner, Score, occlusion
from edgekit.flows.saliency.views import View, view_of
from edgekit.runtime.backend import Session, stored_codes
from edgekit.runtime.postprocessing import writes_text
from edgekit.runtime.preprocessing import integers_as_reals


class Shown(NamedTuple):
    """An input with its saliency map of each artifact, (H, W) or (T,), all of the same class of the first one."""

    name: str
    feed: Feed
    view: View
    label: str
    maps: dict[str, NDArray[np.float64]]

    def summary(self) -> Saliency:
        """What the document says of it."""
        first, *others = self.maps.values()
        peak = tuple(int(place) for place in np.unravel_index(int(np.argmax(first)), first.shape))
        return Saliency(self.name, tuple(self.maps), self.label, peak, alike(first, others[0]) if others else None)


def alike(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Pearson's correlation of two maps, -1 to 1; None if one has the same value everywhere."""
    if not np.ptp(first) or not np.ptp(second):
        return None
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def refuse_unexplainable(spec: ModelSpec, where: Target, *, is_stream: bool) -> None:
    """Raise, before any work, for what cannot be explained by hiding parts of one input.

    Raises:
        UserError: Another device, a stream, or a model that generates text.
    """
    if where.device != "local":
        raise UserError("--explain runs only on this machine.", hint="--target local")
    if is_stream:
        raise UserError("--explain hides parts of one input; a stream has several.", hint="Omit --stream.")
    if writes_text(spec):
        raise UserError(f"--explain does not apply to '{spec.name}', which generates text.", hint="Omit --explain.")


def explained(
    found: Opened,
    artifacts: Sequence[Artifact],
    where: Target,
    named: Sequence[tuple[str, Feed]],
    progress: Progress,
) -> list[Shown]:
    """The saliency of every row of every input, for the class that the first artifact predicts.

    Args:
        named: Feeds with the name of their input.

    Raises:
        UserError: The inputs of the model have no picture.
    """
    rows = [row for name, feed in named for row in _rows(name, _complete(feed, found.spec), found.spec)]
    views = [view_of(found.spec, feed) for _, feed in rows]
    maps: list[dict[str, NDArray[np.float64]]] = [{} for _ in rows]
    scores: list[tuple[str, Score]] = []
    for artifact in artifacts:
        with open_session(found, artifact, where) as session, progress.stage(f"explain {artifact.recipe}"):
            runner = _runner(session, found.spec, artifact.recipe)
            for number, ((_, feed), view) in enumerate(zip(rows, views, strict=True)):
                if artifact is artifacts[0]:
                    scores.append(score_of(runner.run(feed), found.spec))
                score = scores[number][1] if found.spec.scores_classes else _moved(runner.run(feed))
                maps[number][artifact.recipe] = occlusion(runner, feed, view, score, progress)
    return [
        Shown(name, feed, view, label, found_maps)
        for (name, feed), view, (label, _), found_maps in zip(rows, views, scores, maps, strict=True)
    ]


def score_of(outputs: Feed, spec: ModelSpec) -> tuple[str, Score]:
    """The class that is explained and its score in the first output; of other tasks how near the outputs stay."""
    first = next(iter(outputs))
    values = outputs[first].reshape(-1)
    if not spec.scores_classes:
        return "", _moved(outputs)
    if values.size == 1:  # one score: its side of the threshold is the class
        how = spec.postprocessing
        sign = 1.0 if values[0] > (how.threshold if isinstance(how, LabelsOutput) else 0.0) else -1.0
        return _label(
            spec, int(sign > 0)
        ), lambda one: sign * one[first].reshape(len(one[first]), -1)[:, 0].astype(float)
    best = int(np.argmax(values))
    return _label(spec, best), lambda one: one[first].reshape(len(one[first]), -1)[:, best].astype(float)


def _label(spec: ModelSpec, number: int) -> str:
    return spec.labels[number] if number < len(spec.labels) else str(number)


def _moved(outputs: Feed) -> Score:
    """Minus how far outputs are from these, as the root of the mean square over all of their values."""
    names = [name for name, array in outputs.items() if array.dtype.kind in "fiu" and array.ndim]

    def score(one: Feed) -> NDArray[np.float64]:
        rows = len(one[names[0]])
        apart = [
            np.asarray(one[name], np.float64).reshape(rows, -1) - outputs[name].reshape(1, -1).astype(np.float64)
            for name in names
        ]
        return np.asarray(-np.sqrt(np.square(np.concatenate(apart, axis=1)).mean(axis=1)))

    return score


def _runner(session: Session, spec: ModelSpec, name: str) -> BatchRunner:
    def run(feed: Feed) -> Feed:
        return session.run(integers_as_reals(feed, session.inputs, stored_codes(session)))

    dynamic = all(one.shape and isinstance(one.shape[0], str) for one in (*session.inputs, *session.outputs))
    return BatchRunner(run, dynamic and spec.batch_axis is not None and not spec.states, name)


def _complete(feed: Feed, spec: ModelSpec) -> Feed:
    """The feed at the start of a stream."""
    starts = before_a_stream(spec)
    return with_values(feed, spec, {name: one for name, one in starts.items() if name not in feed})


def _rows(name: str, feed: Feed, spec: ModelSpec) -> Iterator[tuple[str, Feed]]:
    """Each sample of a feed: the third of 'batch.npy' is 'batch.npy:2'."""
    sizes = {len(array) for array in feed.values() if array.ndim}
    count = sizes.pop() if len(sizes) == 1 and spec.batch_axis is not None else 1
    if count == 1:
        yield name, feed
        return
    for row in range(count):
        yield f"{name}:{row}", {one: array[row : row + 1] for one, array in feed.items()}
