"""The trace of a torch module: records every operator that it calls while it runs. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from edgekit.core.samples import Feed
from edgekit.core.spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, kinds_of, named
from edgekit.export.graphs.trace import Graph, Operation
from edgekit.export.torch.call import call, call_arguments, output_names, tensors
from edgekit.export.torch.flattening import flatten

_MOVES: Final = named("aten", Trait.MOVES | Trait.REPEATS)
# Where aten's `convolution` says that it is a transposed one.
_TRANSPOSED: Final = 6


def record(module: Any, spec: ModelSpec, feeds: Sequence[Feed]) -> tuple[Graph, list[Feed]]:
    """The operators that the module calls on the first feed, and the value of every tensor on each feed."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)
    runs, graph = [], None
    for feed in feeds:
        recorder = _recorder(module, feed, spec)
        given = tensors(feed, spec)
        recorder.begin(given)
        with torch.no_grad(), recorder:
            named = flatten(call(module, arguments, given.values()))
        recorder.end()
        names = output_names(named, spec)
        outputs = {name: recorder.names[id(value)] for name, value in zip(names, named.values(), strict=True)}
        graph = graph or Graph(tuple(recorder.operations), tuple(given), outputs, _MOVES)
        runs.append({**feed, **recorder.values})
    assert graph is not None
    return graph, runs


def _recorder(module: Any, feed: Feed, spec: ModelSpec) -> Any:
    dispatch = need("torch.utils._python_dispatch", extra="export")
    torch = need("torch", extra="export")

    class TensorRecorder(dispatch.TorchDispatchMode):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Notes every operator with the module that called it."""

        def __init__(self) -> None:
            super().__init__()
            self.operations: list[Operation] = []
            self.values: Feed = {}
            self.names: dict[int, str] = {id(one): name for name, one in module.state_dict(keep_vars=True).items()}
            # Kept alive, so that an id stands for one tensor only.
            self._kept: list[Any] = []
            self._stack = [""]
            self._hooks: list[Any] = []

        def begin(self, given: dict[str, Any]) -> None:
            self.names |= {id(value): name for name, value in given.items()}
            self._kept += given.values()
            for name, part in module.named_modules():
                enter = part.register_forward_pre_hook(lambda *_, name=name: self._stack.append(name))
                leave = part.register_forward_hook(lambda *_: self._leave(), always_call=True)
                self._hooks += [enter, leave]

        def end(self) -> None:
            for hook in self._hooks:
                hook.remove()

        def _leave(self) -> None:
            self._stack.pop()

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            read = [one for one in _flat((*args, *(kwargs or {}).values())) if isinstance(one, torch.Tensor)]
            made = [one for one in _flat([result]) if isinstance(one, torch.Tensor)]
            self._note(function.overloadpacket.__name__, args, read, made)
            return result

        def _note(self, operator: str, args: Any, read: list[Any], made: list[Any]) -> None:
            inputs = tuple(self.names[id(one)] for one in read if id(one) in self.names)
            path = self._stack[-1]
            outputs = []
            for one in made:
                name = f"{path}/{operator}" if path else operator
                name = name if name not in self.values else f"{name}#{len(self.values)}"
                self.names[id(one)] = name
                self._kept.append(one)
                self.values[name] = one.detach().cpu().numpy().copy()
                outputs.append(name)
            self.operations.append(Operation(operator, inputs, tuple(outputs), _kinds(operator, args), path))

    return TensorRecorder()


def _kinds(operator: str, args: Any) -> frozenset[str]:
    kinds = kinds_of("aten", operator)
    transposed = kinds == {"conv"} and len(args) > _TRANSPOSED and args[_TRANSPOSED] is True
    return frozenset({"deconv"}) if transposed else kinds


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value
