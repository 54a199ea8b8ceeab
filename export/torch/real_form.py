"""A module whose complex numbers are pairs of real ones: the exported program, calculated part by part.

Neither TFLite nor most backends of ONNX compute with complex numbers. torch.export shows the operators that touch them;
`complex_numbers`, `fourier` and `spectrogram` have a real form of each, and all others stay as they are. Runs in the
worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from edgekit.core.system.optional import need
from edgekit.export.torch import spectrogram
from edgekit.export.torch.complex_numbers import calculate, is_complex, split
from edgekit.export.torch.fourier import TRANSFORMS

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module, Tensor

# Operators that make complex numbers of real ones.
_CREATING: Final = frozenset({"view_as_complex", "complex", "polar"})
_WINDOWED: Final[dict[str, Callable[..., Any]]] = {"stft": spectrogram.forward, "istft": spectrogram.backward}


@contextmanager
def watched_complex() -> Iterator[Callable[[], bool]]:
    """Whether any operator that was called inside reads or returns a complex tensor."""
    modes, trees = need("torch.utils._python_dispatch", extra="export"), need("torch.utils._pytree", extra="export")
    found = False

    class Watch(modes.TorchDispatchMode):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Looks at the tensors of every operator."""

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal found
            result = function(*args, **(kwargs or {}))
            found = found or any(map(is_complex, trees.tree_leaves((args, kwargs, result))))
            return result

    with Watch():
        yield lambda: found


def real_form(module: Module, given: Sequence[Tensor], dynamic: object = None) -> Module:
    """A module that returns the same without complex numbers inside.

    Args:
        module: Takes tensors by position, and returns a tuple of them.
        given: What it is traced with.
        dynamic: The dynamic axes, as torch.export takes them.

    Raises:
        UserError: It calculates something of complex numbers that has no real form here.
    """
    torch = need("torch", extra="export")
    with torch.no_grad():
        program = torch.export.export(
            module, tuple(given), dynamic_shapes=dynamic, prefer_deferred_runtime_asserts_over_guards=True
        )
        real = _module(program.run_decompositions({}))
        real(*given)
    return real


def _module(program: Any) -> Module:
    torch = need("torch", extra="export")
    state = _state(program)
    _fold(program, state)
    kept = {name: value for name, value in state.items() if not value.is_complex()}
    inputs = [node.name for node in program.graph.nodes if node.op == "placeholder"]
    places = [place for place, one in enumerate(program.graph_signature.output_specs) if one.kind.name == "USER_OUTPUT"]
    calculator = _calculator(program.graph_module)

    class RealForm(torch.nn.Module):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Real weights and constants of the program; what follows from complex ones is in the calculator."""

        def __init__(self) -> None:
            super().__init__()
            for name, value in kept.items():
                self.register_buffer(name, value.detach())

        def forward(self, *feed: Any) -> Any:
            rest = iter(feed)
            values = [getattr(self, name, None) if name in state else next(rest) for name in inputs]
            found = calculator.run(*values, enable_io_processing=False)
            return tuple(found[place] for place in places)

    made: Module = RealForm()
    return made.eval()


def _state(program: Any) -> dict[str, Any]:
    """Weights, buffers and constants by the name that they have in the graph."""
    stored = {**program.state_dict, **program.constants}
    kinds = ("PARAMETER", "BUFFER", "CONSTANT_TENSOR")
    specs = program.graph_signature.input_specs
    return {one.arg.name: stored[one.target] for one in specs if one.kind.name in kinds}


def _calculator(graph: Any) -> Any:
    torch, fx = need("torch", extra="export"), need("torch.fx", extra="export")

    class Calculator(fx.Interpreter):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Runs the graph; a complex value is a pair."""

        def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
            name = _name(target)
            if name.startswith("_assert"):
                return None
            if name in ("view", "_unsafe_view") and not isinstance(args[1], torch.dtype):
                # The parts of a complex tensor lie in memory otherwise than the whole.
                target = torch.ops.aten.reshape.default
            if name in _WINDOWED:
                return _WINDOWED[name](**_by_name(target, args, kwargs))
            if name in TRANSFORMS:
                return TRANSFORMS[name](*args, **kwargs)
            if name in _CREATING or _touches_complex(args, kwargs):
                return calculate(target, name, args, kwargs)
            return super().call_function(target, args, kwargs)

    return Calculator(graph)


def _touches_complex(args: Any, kwargs: Any) -> bool:
    torch, fx = need("torch", extra="export"), need("torch.fx", extra="export")
    found: list[bool] = []
    fx.node.map_aggregate(
        (args, kwargs),
        lambda one: found.append(one.is_complex if isinstance(one, torch.dtype) else is_complex(one)),
    )
    return any(found)


def _name(target: Any) -> str:
    """`mul` of `aten.mul.Tensor`; empty for what is no operator of torch."""
    schema = getattr(target, "_schema", None)
    return schema.name.rpartition("::")[2] if schema is not None else ""


def _by_name(target: Any, args: Any, kwargs: Any) -> dict[str, Any]:
    return {**{one.name: value for one, value in zip(target._schema.arguments, args, strict=False)}, **kwargs}


def _fold(program: Any, state: Mapping[str, Any]) -> None:
    """Put values in place of what follows from complex constants alone, and arrays in place of constant windows."""
    graph, constants = program.graph, _Constants(state)
    windowed = [node for node in graph.nodes if _name(node.target) in _WINDOWED]
    windows = {_by_name(node.target, node.args, node.kwargs).get("window") for node in windowed}
    border = [node for node in graph.nodes if constants.has(node) and not all(map(constants.has, node.users))]
    first = next(node for node in graph.nodes if node.op != "placeholder")
    for place, node in enumerate(border):
        if node not in windows and not constants.is_complex(node):
            continue
        value = constants.of(node)
        setattr(program.graph_module, f"folded_{place}", value.numpy() if node in windows else _parts(value))
        with graph.inserting_before(first):
            folded = graph.get_attr(f"folded_{place}")
        node.replace_all_uses_with(folded, delete_user_cb=lambda user: not constants.has(user))
    graph.eliminate_dead_code()


def _parts(value: Any) -> Any:
    return split(value) if is_complex(value) else value


class _Constants:
    """The nodes of a graph that depend on no input, and their values."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._state = state
        self._known: dict[Any, bool] = {}
        self._values: dict[Any, Any] = {}

    def has(self, node: Any) -> bool:
        """Whether a node depends on constants alone."""
        if node not in self._known:
            self._known[node] = node.name in self._state if node.op == "placeholder" else self._is_computed(node)
        return self._known[node]

    def _is_computed(self, node: Any) -> bool:
        torch = need("torch", extra="export")
        if node.op != "call_function" or torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            return False
        return bool(_name(node.target)) and all(map(self.has, node.all_input_nodes))

    def is_complex(self, node: Any) -> bool:
        """Whether a node is complex, or follows from one that is."""
        return is_complex(node.meta.get("val")) or any(map(self.is_complex, node.all_input_nodes))

    def of(self, node: Any) -> Any:
        """The value of such a node."""
        fx = need("torch.fx", extra="export")
        if node.op == "placeholder":
            return self._state[node.name].detach()
        if node not in self._values:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), self.of)
            self._values[node] = node.target(*args, **kwargs)
        return self._values[node]
