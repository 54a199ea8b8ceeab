"""States: outputs of a streaming model that are its inputs for the next part of the stream."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec
import numpy as np

from edgekit.core.samples import Array, Feed, Samples
from edgekit.core.spec.model_spec import ModelSpec, parse_states
from edgekit.core.spec.tensor_spec import TensorSpec

# Names of an output, and of the input that it becomes: stateN and state, h_out and h_in, present.0 and past.0.
_PAIRS: Final = (
    (re.compile(r"(.+?)_?(?:N|n|new|next|out|1)$"), r"\1"),
    (re.compile(r"(.+?)_?(?:N|n|1)$"), r"\g<1>0"),
    (re.compile(r"(?:new|next|out|output|updated)_?(.+)$"), r"\1"),
    (re.compile(r"(.*)out(.*)$"), r"\1in\2"),
    (re.compile(r"present(.*)$"), r"past\1"),
    (re.compile(r"present(?:_key_values)?(.*)$"), r"past_key_values\1"),
)


def with_states(spec: ModelSpec, texts: Sequence[str] = ()) -> ModelSpec:
    """`spec` with its states.

    Args:
        texts: Pairs `OUTPUT=INPUT`; without any, those of the spec, otherwise recognized by name, dtype and shape.

    Raises:
        UserError: Not the name of an output and an input.
    """
    states = parse_states(texts) or spec.states or _recognized(spec)
    found = msgspec.structs.replace(spec, states=states)
    found.refuse_unknown_states()
    return found


def before_a_stream(spec: ModelSpec) -> Feed:
    """The states before a stream, each as one number that fills it."""
    return {name: np.zeros((), spec.input(name).dtype) for name in spec.states.values()}


def at_beginning(samples: Samples, spec: ModelSpec) -> Samples:
    """The samples, with states of zeros where they have none."""
    missing = [spec.input(name) for name in spec.states.values() if name not in samples.inputs]
    if not missing:
        return samples
    ones = dict.fromkeys(spec.free_axes, 1)
    zeros = {one.name: np.zeros((len(samples), *one.concrete(ones)[1:]), one.dtype) for one in missing}
    given = {**samples.inputs, **zeros}
    return replace(samples, inputs={one.name: given[one.name] for one in spec.inputs})


def chunk_of(spec: ModelSpec) -> dict[str, int]:
    """The dynamic axis along which a stream is fed in chunks, with the size of the smallest; empty for other models."""
    axis = spec.chunk_axis
    return {axis: spec.sizes_of(axis)[0]} if axis is not None and axis in spec.sizes else {}


def continued(outputs: Mapping[str, Array], spec: ModelSpec) -> Feed:
    """The states after a part of the stream, by input."""
    return {name: outputs[output] for output, name in spec.states.items()}


def _recognized(spec: ModelSpec) -> dict[str, str]:
    """Pairs by name, dtype and shape; none if nothing else is left to run on, as in a filter from `x` to `x_out`."""
    found = dict(_pairs(spec))
    return found if len(set(found.values())) < len(spec.inputs) else {}


def _pairs(spec: ModelSpec) -> Iterable[tuple[str, str]]:
    inputs = {tensor.name: tensor for tensor in spec.inputs}
    for output in spec.outputs:
        names = [pattern.sub(name, output.name) for pattern, name in _PAIRS if pattern.fullmatch(output.name)]
        fitting = [name for name in names if name in inputs and _is_alike(inputs[name], output)]
        if fitting:
            yield output.name, fitting[0]


def _is_alike(one: TensorSpec, other: TensorSpec) -> bool:
    sizes = list(zip(one.shape, other.shape, strict=False))
    is_same = len(one.shape) == len(other.shape) and all(a == b or {type(a), type(b)} == {str} for a, b in sizes)
    return one.dtype == other.dtype and is_same and bool(sizes)
