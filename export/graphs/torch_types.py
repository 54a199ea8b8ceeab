"""What this package uses of PyTorch, under PyTorch's names: the package itself is optional, and not type-checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edgekit.core.samples import Array


class Tensor(Protocol):
    """Values of one type, in memory or in a trace."""

    @property
    def dtype(self) -> object:
        """The type of its values."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its sizes."""

    def numel(self) -> int:
        """How many values it has."""

    def data_ptr(self) -> int:
        """Where its first value is in memory."""

    def dim(self) -> int:
        """How many axes it has."""

    def numpy(self) -> Array:
        """The same memory as an array."""

    def detach(self) -> Tensor:
        """The same values without gradients."""

    def cpu(self) -> Tensor:
        """The same values on the processor."""

    def contiguous(self) -> Tensor:
        """The same values in the order of the axes."""

    def clone(self) -> Tensor:
        """The same values in memory of their own."""

    def copy_(self, other: Tensor) -> Tensor:
        """Take the values of `other`."""

    def to(self, dtype: object) -> Tensor:
        """The same values in another type."""

    def view(self, dtype: object) -> Tensor:
        """The same memory, read as another type."""

    def reshape(self, *shape: int | Sequence[int]) -> Tensor:
        """The same values with other axes."""

    def expand(self, *shape: int | Sequence[int]) -> Tensor:
        """Repeated along axes of size 1, in the same memory."""

    def permute(self, *axes: int) -> Tensor:
        """With the axes in that order."""

    def flip(self, axis: int) -> Tensor:
        """With one axis in reverse."""

    def transpose(self, first: int, second: int) -> Tensor:
        """With these two axes exchanged."""

    def movedim(self, source: int, destination: int) -> Tensor:
        """With one axis at another place."""

    def amax(self, axis: int) -> Tensor:
        """The largest values along an axis."""

    def argmax(self, axis: int) -> Tensor:
        """Where the largest values along an axis are."""

    def flatten(self, start_dim: int = 0) -> Tensor:
        """With one axis instead of those from `start_dim` on."""

    def sqrt(self) -> Tensor:
        """The square roots."""

    def sign(self) -> Tensor:
        """-1, 0 or 1."""

    def eq(self, other: Tensor | float) -> Tensor:
        """Where the values are equal."""

    def lt(self, other: float) -> Tensor:
        """Where the values are smaller."""

    def ge(self, other: float) -> Tensor:
        """Where the values are at least as large."""

    def unflatten(self, axis: int, sizes: tuple[int, ...]) -> Tensor:
        """With several axes instead of one."""

    def isnan(self) -> Tensor:
        """Where the values are NaN."""

    def all(self) -> Tensor:
        """Whether all values are true."""

    def __getitem__(self, place: object) -> Tensor: ...
    def __neg__(self) -> Tensor: ...
    def __add__(self, other: Tensor) -> Tensor: ...
    def __sub__(self, other: Tensor) -> Tensor: ...
    def __mul__(self, other: Tensor | float) -> Tensor: ...
    def __matmul__(self, other: Tensor) -> Tensor: ...
    def __rsub__(self, other: float) -> Tensor: ...
    def __truediv__(self, other: Tensor | float) -> Tensor: ...
    def __floordiv__(self, other: int) -> Tensor: ...
    def __mod__(self, other: int) -> Tensor: ...
    def __and__(self, other: Tensor) -> Tensor: ...
    def __or__(self, other: Tensor) -> Tensor: ...
    def __bool__(self) -> bool: ...


class RemovableHandle(Protocol):
    """A hook of a module."""

    def remove(self) -> None:
        """Take it off."""


class Module(Protocol):
    """A network, or a part of one."""

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """What it returns: each module defines what that is, and what it takes."""

    @property
    def forward(self) -> Callable[..., object]:
        """What a call runs, between the hooks."""

    def eval(self) -> Module:
        """Itself, no longer in training."""

    def double(self) -> Module:
        """Itself, with its floats in float64."""

    def to(self, device: str) -> Module:
        """Itself, on that device."""

    def requires_grad_(self, requires_grad: bool) -> Module:
        """Itself, with or without gradients."""

    def parameters(self) -> Iterable[Tensor]:
        """What is trained."""

    def buffers(self) -> Iterable[Tensor]:
        """What is not trained."""

    def named_parameters(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, Tensor]]:
        """What is trained, with its path."""

    def named_buffers(self, *, remove_duplicate: bool = True) -> Iterable[tuple[str, Tensor]]:
        """What is not trained, with its path."""

    def named_modules(self) -> Iterable[tuple[str, Module]]:
        """Itself and every part, with its path."""

    def state_dict(self, *, keep_vars: bool = False) -> Mapping[str, Tensor]:
        """Everything that is saved."""

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *, strict: bool = True) -> object:
        """Take these values."""

    def register_forward_pre_hook(self, hook: Callable[..., None]) -> RemovableHandle:
        """Have `hook` called before each call."""

    def register_forward_hook(self, hook: Callable[..., None], *, always_call: bool = False) -> RemovableHandle:
        """Have `hook` called after each call; with `always_call` after one that fails as well."""


class Distribution(Protocol):
    """A distribution; the names of its possible parameters are the keys."""

    arg_constraints: Mapping[str, object]


class OpOverloadPacket(Protocol):
    """An operator, whatever the types of its arguments."""

    __name__: str


class OpOverload(Protocol):
    """An operator for one combination of types of arguments."""

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """The operator itself."""

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """What it returns: a tensor, several, or a number."""


class SymbolicTensor(Protocol):
    """A tensor in a graph: its sizes are numbers, or symbols where they are free."""

    @property
    def dtype(self) -> object:
        """The type of its values."""

    @property
    def shape(self) -> Sequence[object]:
        """Its sizes."""


class FxNode(Protocol):
    """`torch.fx.Node`: one step of a graph, an input, an operator, or the outputs."""

    name: str
    op: str

    @property
    def meta(self) -> Mapping[str, SymbolicTensor]:
        """What is known of it; what it makes is `val`, which may be a number instead."""


class FxGraph(Protocol):
    """`torch.fx.Graph`: the steps of a program."""

    @property
    def nodes(self) -> Iterable[FxNode]:
        """All of them, in order."""


class GraphSignature(Protocol):
    """Which inputs of a graph are weights, and which its caller gives."""

    @property
    def user_inputs(self) -> Iterable[object]:
        """Those that are not weights: names of nodes, or constants."""


class CallSpec(Protocol):
    """How a program is called."""

    @property
    def in_spec(self) -> object:
        """How the inputs are nested, for torch's pytrees."""


class ExportedProgram(Protocol):
    """A module as a graph."""

    @property
    def graph(self) -> FxGraph:
        """What it computes."""

    @property
    def graph_signature(self) -> GraphSignature:
        """Which of its inputs are weights."""

    @property
    def call_spec(self) -> CallSpec:
        """How it is called."""

    def module(self) -> Module:
        """What runs it."""
