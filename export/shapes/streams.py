"""Calibration of streaming models: states as they are in the middle of a stream, not only at its beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec


def begins_with_zeros(samples: Samples, spec: ModelSpec) -> bool:
    """True for a streaming model if every sample is the beginning of a stream, which says nothing about its states."""
    return bool(spec.states) and all(not samples.inputs[name].any() for name in spec.states.values())


def in_a_stream(feeds: Iterable[Feed], spec: ModelSpec, run: Callable[[Feed], Feed]) -> Iterator[Feed]:
    """The feeds as the parts of one stream: each has the states after the one before it.

    Args:
        run: The outputs of the float32 file for a feed.
    """
    states: Feed = {}
    for feed in feeds:
        part = feed
        if all(array.shape == feed[name].shape for name, array in states.items()):
            part = {**feed, **states}
        yield part
        outputs = run(part)
        states = {name: outputs[output] for output, name in spec.states.items()}
