"""Occlusion: what a prediction loses if a patch of its input is hidden. It needs nothing but outputs.

The method is that of Zeiler and Fergus, Visualizing and Understanding Convolutional Networks (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekit.core.samples import Feed
from edgekit.core.system.progress import Progress
from edgekit.flows.saliency.views import Patch, View, ground, patches

Score = Callable[[Feed], NDArray[np.float64]]
"""One number for each row of the outputs; a patch matters as far as hiding it lowers the number."""

_BATCH: Final = 16
# Rows of a batch round in another order than one alone; ranges that a file takes from its whole batch differ by more.
_SAME: Final = 1e-3


class BatchRunner(NamedTuple):
    """Runs an artifact on a feed; `takes_batches` says that its file takes several rows at once."""

    run: Callable[[Feed], Feed]
    takes_batches: bool
    name: str


def occlusion(runner: BatchRunner, feed: Feed, view: View, score: Score, progress: Progress) -> NDArray[np.float64]:
    """How much the score loses at each place of the picture (H, W) or signal (T,), as the mean over its patches.

    Args:
        feed: One sample, batch axis included.
        score: Of outputs with one or more rows.

    A batch is used only if its rows return what each returns alone: dynamic int8 takes ranges from the whole batch.
    """
    sides = view.sides(feed)
    patch = patches(sides)
    places = list(product(*patch.starts))
    whole = float(score(runner.run(feed))[0])
    scores = _scores(runner, _hidden(feed, view, patch, places), len(places), score, progress)
    lost, covered = np.zeros(sides), np.zeros(sides)
    for place, found in zip(places, scores, strict=True):
        part = _part(place, patch)
        lost[part] += whole - found
        covered[part] += 1
    return lost / covered


def _part(place: Sequence[int], patch: Patch) -> tuple[slice, ...]:
    return tuple(slice(start, start + side) for start, side in zip(place, patch.sides, strict=True))


def _hidden(feed: Feed, view: View, patch: Patch, places: Sequence[tuple[int, ...]]) -> Iterator[Feed]:
    """The feed with each patch hidden."""
    mean = ground(feed, view)
    for place in places:
        array = feed[view.name].copy()
        index: list[slice] = [slice(None)] * array.ndim
        for axis, part in zip(view.axes, _part(place, patch), strict=True):
            index[axis] = part
        array[tuple(index)] = mean
        yield {**feed, view.name: array}


def _scores(runner: BatchRunner, feeds: Iterator[Feed], total: int, score: Score, progress: Progress) -> list[float]:
    """The score of every feed, in batches where those return the same."""
    first = list(islice(feeds, _BATCH))
    found = []
    for one in first:
        found.append(float(score(runner.run(one))[0]))
        progress.step(len(found), total, runner.name)
    batch = _BATCH if runner.takes_batches and _agrees(runner, first, found, score) else 1
    while part := list(islice(feeds, batch)):
        found += [float(value) for value in score(runner.run(_stacked(part)))[: len(part)]]
        progress.step(len(found), total, runner.name)
    return found


def _agrees(runner: BatchRunner, feeds: Sequence[Feed], alone: Sequence[float], score: Score) -> bool:
    together = score(runner.run(_stacked(feeds)))
    scale = max(float(np.ptp(alone)), 1e-6)
    return len(together) == len(alone) and bool(np.abs(together - np.asarray(alone)).max() <= _SAME * scale)


def _stacked(feeds: Sequence[Feed]) -> Feed:
    if len(feeds) == 1:
        return feeds[0]
    return {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
