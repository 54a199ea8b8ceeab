"""Plan: one signature of a TFLite file, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgekit.core.errors import EdgekitError, UserError
from edgekit.core.system.native import memory_limit
from edgekit.runtime.backends.quantized import giving, storing
from edgekit.runtime.backends.signatures import SignatureEntry

if TYPE_CHECKING:
    from edgekit.core.samples import Array, Feed

_VARIABLE: Final = "VAR_HANDLE"
# Operators that have variables of the older kind.
_RECURRENT: Final = ("_RNN", "_LSTM", "SVDF")

Shapes = dict[int, dict[str, tuple[int, ...]]]


class Plan:
    """One signature, ready to run: tensor indices looked up once.

    `shapes` are the inputs' present ones by subgraph, which all plans of an interpreter share.
    """

    def __init__(self, engine: Any, entry: SignatureEntry, shapes: Shapes) -> None:
        # The public methods reach the first subgraph only, and the signature runner allocates anew in each call.
        wrapper = engine._interpreter
        self.entry = entry
        self._subgraph = entry.subgraph
        self._inputs = [(tensor.name, tensor.index, np.dtype(tensor.dtype), storing(tensor)) for tensor in entry.inputs]
        self._outputs = [(tensor.name, tensor.index) for tensor in entry.outputs]
        self._shapes = shapes.setdefault(entry.subgraph, {tensor.name: tensor.shape for tensor in entry.inputs})
        self._giving = [(tensor.name, convert) for tensor in entry.outputs if (convert := giving(tensor))]
        self._wrapper = wrapper
        self._set, self._get, self._invoke = wrapper.SetTensor, wrapper.GetTensor, wrapper.Invoke

    def fit(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Give the inputs these shapes, where the file leaves them free.

        Raises:
            RuntimeError, ValueError: An operator of the file does not take them.
        """
        if all(self._shapes.get(name) == shape for name, shape in shapes.items()):
            return
        for tensor in self.entry.inputs:
            sizes = np.array(shapes[tensor.name], dtype=np.int32)
            self._wrapper.ResizeInputTensor(tensor.index, sizes, False, self._subgraph)
        self._shapes.clear()  # unknown if allocation fails
        self._wrapper.AllocateTensors(self._subgraph)
        self._shapes.update(shapes)

    def takes(self, feed: Mapping[str, Any]) -> bool:
        """Whether `feed` fits this signature without splitting or padding; if so, it is set."""
        try:
            self.set_inputs(feed)
        except (KeyError, AttributeError, ValueError, TypeError):
            return False
        return len(feed) == len(self._inputs)

    def set_inputs(self, feed: Mapping[str, Any]) -> None:
        """Set every input; LiteRT checks shapes and raises ValueError.

        Raises:
            KeyError: A name is missing, or a dtype is not accepted.
        """
        for name, index, dtype, converts in self._inputs:
            array = feed[name]
            if array.dtype != dtype:
                array = converts[array.dtype](array)
            self._set(index, array, self._subgraph)

    def invoke(self) -> Feed:
        """Run what was set; the caller owns the outputs."""
        subgraph, get = self._subgraph, self._get
        self._invoke(subgraph)
        outputs = {name: get(index, subgraph) for name, index in self._outputs}
        for name, convert in self._giving:
            outputs[name] = convert(outputs[name])
        return outputs

    def bound(self, feed: Mapping[str, Array]) -> Callable[[], Feed]:
        """A call that sets `feed`, which fits, and runs it."""
        arrays = [(index, feed[name], converts.get(feed[name].dtype)) for name, index, _, converts in self._inputs]
        subgraph, put, invoke = self._subgraph, self._set, self.invoke
        shapes = {name: array.shape for name, array in feed.items()} if self.entry.is_resizable else {}

        def call() -> Feed:
            try:
                if shapes:
                    self.fit(shapes)
                for index, array, convert in arrays:
                    put(index, array if convert is None else convert(array), subgraph)
                return invoke()
            except (RuntimeError, ValueError) as err:
                raise failed(err) from err

        return call


def has_variables(engine: Any) -> bool:
    """True if the file has variables of the newer kind, which LiteRT does not reset."""
    wrapper = engine._interpreter
    return any(wrapper.NodeName(place) == _VARIABLE for place in range(wrapper.NumNodes()))


def keeps_values(engine: Any) -> bool:
    """True if an operator of the file has variables, of either kind."""
    wrapper = engine._interpreter
    names = [wrapper.NodeName(place) for place in range(wrapper.NumNodes())]
    return any(name == _VARIABLE or name.endswith(_RECURRENT) for name in names)


def kernels(engine: Any) -> str:
    """`xnnpack` when it took at least one operator, else `cpu`."""
    wrapper = engine._interpreter
    names = (wrapper.NodeName(place) for place in reversed(range(wrapper.NumNodes())))
    return "xnnpack" if "DELEGATE" in names else "cpu"


def failed(err: Exception) -> EdgekitError:
    """The error for a feed that LiteRT does not run."""
    # The engine strings its messages together, and repeats those of earlier failures.
    if (too_large := memory_limit.exceeded(err)) is not None:
        return too_large
    what = first_line(err).partition("Node number")[0]
    return UserError(f"litert cannot run this feed: {what or err}")


def first_line(err: Exception) -> str:
    """LiteRT's own message."""
    return next((line.strip() for line in str(err).splitlines() if line.strip()), type(err).__name__)
