"""The trace of a torch module: records every operator that it calls while it runs. Runs in the worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

from edgekit.core.samples import Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.graphs.operators import Trait, kinds_of, named
from edgekit.export.graphs.trace import Graph, Operation
from edgekit.export.torch.call import call, call_arguments, output_names, tensors
from edgekit.export.torch.flattening import flatten, is_tensor
from edgekit.export.torch.watching import watched_operators

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

_MOVES: Final = named("aten", Trait.MOVES | Trait.REPEATS)
# Where aten's `convolution` says that it is a transposed one.
_TRANSPOSED: Final = 6


def record(module: Module, spec: ModelSpec, feeds: Sequence[Feed]) -> tuple[Graph, list[Feed]]:
    """The operators that the module calls on the first feed, and the value of every tensor on each feed."""
    torch = need("torch", extra="export")
    arguments = call_arguments(module, spec)
    runs, graph = [], None
    for feed in feeds:
        given = tensors(feed, spec)
        recording = _Recording(module, given)
        with torch.no_grad(), recording.of_modules(module), watched_operators(recording.note):
            named = flatten(call(module, arguments, given.values()))
        names = output_names(named, spec)
        outputs = {name: recording.names[id(value)] for name, value in zip(names, named.values(), strict=True)}
        graph = graph or Graph(tuple(recording.operations), tuple(given), outputs, _MOVES)
        runs.append({**feed, **recording.values})
    assert graph is not None
    return graph, runs


class _Recording:
    """Every operator of one run, with the module that called it; tensors are told apart by their ids."""

    def __init__(self, module: Module, given: Mapping[str, Tensor]) -> None:
        self.operations: list[Operation] = []
        self.values: Feed = {}
        self.names = {id(one): name for name, one in (*module.state_dict(keep_vars=True).items(), *given.items())}
        # Kept alive, so that an id stands for one tensor only.
        self._kept = list(given.values())
        self._paths = [""]

    @contextmanager
    def of_modules(self, module: Module) -> Iterator[None]:
        """Within it, the part of `module` that runs is known."""
        with ExitStack() as hooks:
            for name, part in module.named_modules():
                enter = part.register_forward_pre_hook(lambda *_, name=name: self._paths.append(name))
                hooks.callback(enter.remove)
                leave = part.register_forward_hook(lambda *_: self._leave(), always_call=True)
                hooks.callback(leave.remove)
            yield

    def _leave(self) -> None:
        self._paths.pop()

    def note(self, operator: str, args: tuple[object, ...], kwargs: Mapping[str, object], result: object) -> None:
        """Take in one call of an operator."""
        read = [id(one) for one in _flat((*args, *kwargs.values())) if is_tensor(one)]
        inputs = tuple(self.names[one] for one in read if one in self.names)
        outputs = tuple(self._made(operator, one) for one in _flat([result]) if is_tensor(one))
        self.operations.append(Operation(operator, inputs, outputs, _kinds(operator, args), self._paths[-1]))

    def _made(self, operator: str, tensor: Tensor) -> str:
        """The name of a new tensor."""
        path = self._paths[-1]
        name = f"{path}/{operator}" if path else operator
        name = name if name not in self.values else f"{name}#{len(self.values)}"
        self.names[id(tensor)] = name
        self._kept.append(tensor)
        self.values[name] = tensor.detach().cpu().numpy().copy()
        return name


def _kinds(operator: str, args: Sequence[object]) -> frozenset[str]:
    kinds = kinds_of("aten", operator)
    transposed = kinds == {"conv"} and len(args) > _TRANSPOSED and args[_TRANSPOSED] is True
    return frozenset({"deconv"}) if transposed else kinds


def _flat(values: Iterable[object]) -> Iterator[object]:
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value
