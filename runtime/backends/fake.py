"""FakeBackend: computes outputs from a .fake.json file, without a library, so that any tool can be tested with it.

```json
{"schema_version": 1,
 "inputs": [{"name": "x", "dtype": "float32", "shape": ["N", 2]}],
 "outputs": [{"name": "y", "input": "x", "weights": [[1, 0, 2], [0, 1, 2]], "offset": [0, 0, 1]},
             {"name": "z", "constant": [1.5]}],
 "delay_s": 0.001}
```
An output is `input @ weights + offset` over the last axis of its input, or a constant. Outputs are float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np

from edgekit.core.errors import ModelUnreadable, ProviderRefused, UserError
from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.spec.tensor_spec import Axis, TensorSpec
from edgekit.core.system import documents
from edgekit.core.system.turns import bound_to_one_thread
from edgekit.core.target import refuse_unknown_options
from edgekit.runtime.backends.feeds import check_feed
from edgekit.runtime.backends.file_kind import head_of
from edgekit.runtime.backends.target_options import threads_of
from edgekit.runtime.backends.tensors import completed

# 1: first version.
FAKE_SCHEMA: Final = 1


class FakeOutput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One output: a linear map of the last axis of `input`, or `constant`."""

    name: str
    input: str = ""
    weights: tuple[tuple[float, ...], ...] = ()
    offset: tuple[float, ...] = ()
    constant: tuple[float, ...] = ()


class FakeModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a .fake.json file. Each run takes at least `delay_s`."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[FakeOutput, ...]
    delay_s: float = 0.0
    schema_version: int = FAKE_SCHEMA


class FakeBackend:
    """Opens .fake.json files."""

    name = "fake"

    def formats(self) -> tuple[str, ...]:
        """`fake`."""
        return ("fake",)

    def check(self) -> str:
        """Its name and schema version; always available."""
        return f"fake {FAKE_SCHEMA}"

    def open(self, path: Path, options: Mapping[str, str], spec: ModelSpec | None = None) -> FakeSession:
        """A session for the file at `path`; errors as in `Backend.open`. `cpu` is the only provider."""
        refuse_unknown_options(options, self.name)
        threads_of(options)
        provider = options.get("provider", "cpu")
        if provider != "cpu":
            raise ProviderRefused(
                f"Backend 'fake' does not support provider '{provider}', only cpu.", hint="--target local/fake"
            )
        head_of(path)
        model = documents.read(path, FakeModel, newest=FAKE_SCHEMA, error=ModelUnreadable)
        return FakeSession(model, spec)


class FakeSession:
    """A .fake.json file that was read. Threads may share it; a call of `bind` belongs to the first that calls it."""

    backend = "fake"
    provider = "cpu"

    def __init__(self, model: FakeModel, spec: ModelSpec | None = None) -> None:
        read = {tensor.name: tensor for tensor in model.inputs}
        self.inputs = tuple(completed(tensor, spec.inputs if spec else ()) for tensor in model.inputs)
        self.outputs = tuple(_output(output, read) for output in model.outputs)
        self._model: FakeModel | None = model

    def run(self, feed: Mapping[str, object]) -> Feed:
        """Outputs by name, owned by the caller; errors as in `Session.run`."""
        model = self._model
        if model is None:
            raise UserError("This session is closed.")
        check_feed(feed, self.inputs)
        time.sleep(model.delay_s)
        return {output.name: _answer(output, feed) for output in model.outputs}

    def bind(self, feed: Mapping[str, object]) -> Callable[[], Feed]:
        """A call that reads the arrays of `feed` again and overwrites the same output arrays each time."""
        outputs = self.run(feed)
        bound = bound_to_one_thread()

        def call() -> Feed:
            bound.claim()
            for name, array in self.run(feed).items():
                outputs[name][...] = array
            return outputs

        return call

    def close(self) -> None:
        """Forget the model; closing twice is harmless."""
        self._model = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _answer(output: FakeOutput, feed: Mapping[str, Any]) -> Any:
    if output.constant:
        return np.array(output.constant, dtype=np.float32)
    weights, offset = np.array(output.weights), np.array(output.offset or 0.0)
    return np.asarray(feed[output.input].astype(np.float64) @ weights + offset, dtype=np.float32)


def _output(output: FakeOutput, inputs: Mapping[str, TensorSpec]) -> TensorSpec:
    shape: tuple[Axis, ...] = (len(output.constant),)
    if not output.constant:
        source = inputs.get(output.input)
        if source is None or not output.weights or source.shape[-1:] != (len(output.weights),):
            raise ModelUnreadable(f"Output '{output.name}' is neither a constant nor a linear map of an input.")
        shape = (*source.shape[:-1], len(output.weights[0]))
    return TensorSpec(output.name, "float32", shape)
