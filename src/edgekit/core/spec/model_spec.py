"""ModelSpec: what a model takes and returns, without importing the model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from edgekit.core.errors import UserError, unknown
from edgekit.core.spec.input_kinds import ArrayInput, Preprocessing, TextInput
from edgekit.core.spec.metric import Metric
from edgekit.core.spec.output_kinds import BINARY, MULTI_LABEL, Postprocessing, TextOutput
from edgekit.core.spec.tensor_spec import BATCH, TIME, TensorSpec

UNTRAINED: Final = "weights: random initialisation, so accuracy is not judged; --weights FILE gives trained ones"


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Name, task, tensors, pre-processing and quality of one model.

    `sizes` lists the sizes of each dynamic axis for which formats with fixed shapes are exported; without it, an axis
    has size 1. `labels` are class names in index order; `postprocessing` is for outputs other than class scores.
    `states` are the inputs of a streaming model by the output from which each continues in the next part of the stream.
    `is_untrained`: its weights are a random initialisation, so that its quality says nothing.
    """

    name: str
    task: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...] = ()
    summary: str = ""
    sizes: dict[str, tuple[int, ...]] = {}
    labels: tuple[str, ...] = ()
    preprocessing: Preprocessing = ArrayInput()
    postprocessing: Postprocessing | None = None
    metric: Metric | None = None
    licence: str = ""
    states: dict[str, str] = {}
    is_untrained: bool = False

    @property
    def caveat(self) -> str:
        """What every report must say of the weights; empty if nothing."""
        return UNTRAINED if self.is_untrained else ""

    @property
    def scores_classes(self) -> bool:
        """Whether the outputs contain scores of classes or labels, so that a sample has a likeliest one."""
        return self.task in ("classification", BINARY, MULTI_LABEL)

    @property
    def is_decoder(self) -> bool:
        """Whether it continues a text token by token, with a cache: words in and out, and states."""
        reads, writes = isinstance(self.preprocessing, TextInput), isinstance(self.postprocessing, TextOutput)
        return bool(self.states) and reads and writes

    @property
    def free_axes(self) -> tuple[str, ...]:
        """Every dynamic axis of the inputs, each once, in order of appearance."""
        return tuple(dict.fromkeys(axis for tensor in self.inputs for axis in tensor.free_axes))

    @property
    def batch_axis(self) -> str | None:
        """The first axis of every input if it is dynamic and the same, else None: the batch size is then 1.

        None as well if that axis is time, in `[T,N,F]`. With `N` elsewhere samples are passed one at a time.
        """
        first = {tensor.shape[0] if tensor.shape else None for tensor in self.inputs}
        axis = next(iter(first)) if len(first) == 1 else None
        is_time = axis == TIME and BATCH in self.free_axes
        return axis if isinstance(axis, str) and not is_time else None

    @property
    def fed(self) -> tuple[TensorSpec, ...]:
        """The inputs that are not states."""
        return tuple(tensor for tensor in self.inputs if tensor.name not in self.states.values())

    @property
    def chunk_axis(self) -> str | None:
        """The dynamic axis along which a stream is fed in chunks: the first of `fed` that is not the batch."""
        axes = (axis for tensor in self.fed for axis in tensor.free_axes if axis != self.batch_axis)
        return next(axes, None) if self.states else None

    @property
    def unsized_axes(self) -> tuple[str, ...]:
        """Dynamic axes without a size in `sizes`, except the batch: the first axis of an input, or `N`."""
        is_named = self.batch_axis is None and BATCH in self.free_axes
        first = {BATCH} if is_named else {tensor.shape[0] for tensor in self.inputs if tensor.shape}
        return tuple(axis for axis in self.free_axes if axis not in first and axis not in self.sizes)

    def batch_place(self, output: TensorSpec) -> int | None:
        """Where an output has its batch axis; None for one that has a value per call instead of per sample."""
        axis = self.batch_axis
        return output.shape.index(axis) if axis is not None and output.shape.count(axis) == 1 else None

    @property
    def is_splittable(self) -> bool:
        """Whether a batch may run in parts: each output has its rows on one axis."""
        return all(self.batch_place(output) is not None for output in self.outputs)

    def sizes_of(self, axis: str) -> tuple[int, ...]:
        """The sizes for which a format with fixed shapes is exported, ascending."""
        return tuple(sorted(set(self.sizes.get(axis, (1,)))))

    def input(self, name: str) -> TensorSpec:
        """The input called `name`."""
        return next(tensor for tensor in self.inputs if tensor.name == name)

    def refuse_unknown_states(self) -> None:
        """Raise for a state that is not an output of the model, or not an input; outputs that are not known pass.

        Raises:
            UserError: The nearest right name is suggested.
        """
        inputs, outputs = ([tensor.name for tensor in tensors] for tensors in (self.inputs, self.outputs))
        for output, name in self.states.items():
            if outputs and output not in outputs:
                raise unknown("output", output, outputs)
            if name not in inputs:
                raise unknown("input", name, inputs)


def parse_states(texts: Iterable[str]) -> dict[str, str]:
    """Inputs by output from texts such as `stateN=state`.

    Raises:
        UserError: The format is wrong.
    """
    pairs = [text.partition("=") for text in texts]
    for output, sign, name in pairs:
        if not (output and sign and name):
            raise UserError(f"'{output}{sign}{name}' is not OUTPUT=INPUT.", hint="--state stateN=state")
    return {output: name for output, _, name in pairs}
