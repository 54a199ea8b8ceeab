"""Phases of a decoder with a cache: it reads a prompt at once, then it writes token after token.

Each is timed on its own. Every timed call begins with the same cache, so that all of them do the same work.
"""

from __future__ import annotations

import numpy as np

from edgekit.core.measurement import DECODE, PREFILL
from edgekit.core.samples import Feed
from edgekit.core.spec.input_kinds import TextInput
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.target import Target
from edgekit.flows.opening.artifacts import Opened, feed_at, open_session, runnable_here
from edgekit.flows.opening.states import chunk_of, continued


def phases_of(spec: ModelSpec) -> tuple[str, ...]:
    """The timed phases of a decoder, the writing first; a single one without a name for every other model."""
    writes = spec.is_decoder and set(chunk_of(spec).values()) == {1}
    if not writes:
        return ("",)
    return (DECODE, PREFILL) if prompt_size(spec) else (DECODE,)


def prompt_size(spec: ModelSpec) -> int:
    """Tokens of the timed prompt: the largest size that leaves room to write; 0 if only single tokens are read."""
    axis, how = spec.chunk_axis, spec.preprocessing
    sizes = [] if axis is None else [one for one in spec.sizes_of(axis) if one > 1]
    room = how.length if isinstance(how, TextInput) else 0
    return max((one for one in sizes if one < room), default=max(sizes, default=0))


def places_of(spec: ModelSpec, phase: str) -> range:
    """The places of a sample that are in the timed chunk, along its dynamic axis."""
    prompt = prompt_size(spec)
    smallest = range(*chunk_of(spec).values()) if chunk_of(spec) else range(0)
    return {PREFILL: range(prompt), DECODE: range(prompt, prompt + 1)}.get(phase, smallest)


def which(batch: int, phase: str = "") -> str:
    """`, batch 8, decode`, to follow the name of an artifact; empty for single samples of other models."""
    return f", batch {batch}" * (batch > 1) + f", {phase}" * bool(phase)


def tokens_of(spec: ModelSpec, phase: str, batch: int) -> int | None:
    """Tokens that a timed call reads; None for other models."""
    return len(places_of(spec, phase)) * batch if phase else None


def chunk_at(found: Opened, places: range, batch: int) -> Feed:
    """The first sample, cut to these places if the model is fed in chunks; the states are those of the beginning."""
    feed, chunk = feed_at(found.spec, found.samples, 0, batch), chunk_of(found.spec)
    for tensor in found.spec.inputs:
        for axis in chunk.keys() & set(tensor.free_axes):
            place = tensor.shape.index(axis)
            feed[tensor.name] = feed[tensor.name].take(np.array(places), axis=place, mode="wrap")
    return feed


def after_prompt(found: Opened, batch: int) -> Feed:
    """The states after the timed prompt, as the first artifact that opens here returns them; none without a prompt.

    What the cache contains is the same for every artifact and device, so that each has the same work.
    """
    if not prompt_size(found.spec):
        return {}
    artifact = runnable_here(found.artifacts)[0][0]
    with open_session(found, artifact, Target("local")) as session:
        return continued(session.run(chunk_at(found, places_of(found.spec, PREFILL), batch)), found.spec)
