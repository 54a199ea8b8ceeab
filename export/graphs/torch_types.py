"""What this package uses of PyTorch, under PyTorch's names: the package itself is optional, and not type-checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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

    def flatten(self, start_dim: int = 0) -> Tensor:
        """With one axis in place of those from `start_dim` on."""

    def eq(self, other: Tensor) -> Tensor:
        """Where the values are equal."""

    def isnan(self) -> Tensor:
        """Where the values are no numbers."""

    def all(self) -> Tensor:
        """Whether all values are true."""

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

    def load_state_dict(self, state_dict: Mapping[str, Tensor]) -> object:
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
