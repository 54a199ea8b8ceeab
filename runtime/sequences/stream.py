"""Stream: a streaming model is fed chunk by chunk, and carries its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.runtime.backends.signatures import exact_cover
from edgekit.runtime.prediction import Prediction
from edgekit.runtime.preprocessing import as_input

_INT16: Final = np.float32(32768)
_CHUNK: Final = "the chunk"

Run = Callable[[Feed], Feed]
"""Outputs for a feed, such as `Session.run`."""


class Stream:
    """One stream through a model: `feed` takes its next chunk, and `states` is what the model remembers.

    Several streams can share a session, because the states are here and not in it. A stream belongs to one thread at a
    time.
    """

    def __init__(self, run: Run, spec: ModelSpec) -> None:
        """A stream at its beginning, with states of zeros.

        Raises:
            UserError: The model has no states.
        """
        if not spec.states:
            raise UserError(
                f"'{spec.name}' has no states that continue from one chunk to the next.",
                hint="edgekit build MODEL --state OUTPUT=INPUT",
            )
        self._run, self._spec = run, spec
        self.states: Feed = {}
        self.reset()

    @property
    def step(self) -> int | None:
        """Every chunk is a multiple of this many values along its dynamic axis; None if a chunk has one fixed shape."""
        axis = self._spec.chunk_axis
        return None if axis is None else self._spec.sizes_of(axis)[0]

    def reset(self) -> None:
        """Begin a new stream: every state is zeros."""
        ones = dict.fromkeys(self._spec.free_axes, 1)
        kept = [self._spec.input(name) for name in self._spec.states.values()]
        self.states = {one.name: np.zeros(one.concrete(ones), one.dtype) for one in kept}

    def feed(self, chunk: object) -> Prediction:
        """The outputs for the next chunk.

        An output with the axis of the chunk has a value for each of its steps, any other that of the end.

        Args:
            chunk: An array, with or without the batch axis, or a mapping of arrays for a model with several inputs;
                a sound may be int16. Along the dynamic axis its size is a multiple of `step`.

        Raises:
            UserError: The chunk does not fit the model.
        """
        given = self._given(chunk)
        parts = [self._next(part) for part in self._parts(given)]
        return Prediction({name: self._joined(name, [part[name] for part in parts]) for name in parts[0]}, self._spec)

    def _given(self, chunk: object) -> Feed:
        values = chunk if isinstance(chunk, Mapping) else {self._spec.fed[0].name: chunk}
        missing = [one.name for one in self._spec.fed if one.name not in values]
        if missing:
            raise UserError(f"The chunk has no '{missing[0]}': '{self._spec.name}' takes a dict of its inputs.")
        return {one.name: _array(np.asarray(values[one.name]), one) for one in self._spec.fed}

    def _parts(self, given: Feed) -> Iterator[Feed]:
        """The chunk in parts of sizes that a file with fixed shapes has, as few as possible."""
        axis = self._spec.chunk_axis
        size = None if axis is None else self._size(given, axis)
        if axis is None or size is None:
            yield given
            return
        sizes = self._spec.sizes_of(axis)
        cover = exact_cover(size, sizes) if size else ()
        if not cover:
            listed = " or ".join(map(str, sizes))
            raise UserError(
                f"A chunk of {size} does not fit '{self._spec.name}': its size is {listed}, or a sum of these.",
                hint=f"Collect {sizes[0]} values, then feed them.",
            )
        start = 0
        for length in cover:
            yield {name: self._cut(name, array, axis, start, length) for name, array in given.items()}
            start += length

    def _size(self, given: Feed, axis: str) -> int | None:
        return next((given[one.name].shape[one.shape.index(axis)] for one in self._spec.fed if axis in one.shape), None)

    def _cut(self, name: str, array: Array, axis: str, start: int, length: int) -> Array:
        shape: tuple[Axis, ...] = self._spec.input(name).shape
        if axis not in shape:
            return array
        return array.take(np.arange(start, start + length), axis=shape.index(axis))

    def _next(self, part: Feed) -> Feed:
        outputs = self._run({**part, **self.states})
        self.states = {name: outputs[output] for output, name in self._spec.states.items()}
        return {name: array for name, array in outputs.items() if name not in self._spec.states}

    def _joined(self, name: str, values: list[Array]) -> Array:
        shape = next((one.shape for one in self._spec.outputs if one.name == name), ())
        axis = self._spec.chunk_axis
        if axis is None or axis not in shape or len(values) == 1:
            return values[-1]
        return np.concatenate(values, axis=shape.index(axis))


def _array(array: Array, tensor: TensorSpec) -> Array:
    """The array with its batch axis; the integers of a sound are numbers from -1 to 1."""
    if array.dtype == np.int16 and "float" in tensor.dtype:
        array = array.astype(np.float32) / _INT16
    whole = as_input(array, tensor, _CHUNK)
    if whole.ndim != len(tensor.shape):
        raise UserError(f"{_CHUNK.capitalize()} has the shape {whole.shape} for '{tensor}'.")
    return whole
