"""A batch of one: for modules that take one sample at a time."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from edgekit.core.samples import Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import TensorSpec


def of_one(spec: ModelSpec) -> ModelSpec:
    """The spec with its batch fixed at 1."""
    axis = spec.batch_axis
    sizes = {name: found for name, found in spec.sizes.items() if name != axis}
    return msgspec.structs.replace(spec, inputs=tuple(_fixed(one, axis) for one in spec.inputs), sizes=sizes)


def in_batches_of_one(samples: Samples) -> Samples:
    """The same samples, each with a batch axis of size 1."""
    return replace(samples, inputs=_grown(samples.inputs), targets=_grown(samples.targets))


def _fixed(tensor: TensorSpec, axis: str | None) -> TensorSpec:
    return msgspec.structs.replace(tensor, shape=tuple(1 if one == axis else one for one in tensor.shape))


def _grown(feed: Feed) -> Feed:
    return {name: array[:, None] for name, array in feed.items()}
