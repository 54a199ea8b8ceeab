"""Watching what a torch module calls while it runs. Runs in the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from edgekit.core.system.optional import need

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import OpOverload

# Given the name, the arguments by position and by keyword, and what was returned.
Note = Callable[[str, tuple[object, ...], Mapping[str, object], object], None]


def watched_operators(note: Note) -> AbstractContextManager[object]:
    """Within it, `note` is called for every aten operator: what a module's functions come down to."""
    dispatch = need("torch.utils._python_dispatch", extra="export")

    class OperatorWatch(dispatch.TorchDispatchMode):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Calls `note` after each operator."""

        def __torch_dispatch__(
            self,
            function: OpOverload,
            types: object,
            args: tuple[object, ...] = (),
            kwargs: Mapping[str, object] | None = None,
        ) -> object:
            result = function(*args, **(kwargs or {}))
            note(function.overloadpacket.__name__, args, kwargs or {}, result)
            return result

    watch: AbstractContextManager[object] = OperatorWatch()
    return watch


def watched_functions(note: Note) -> AbstractContextManager[object]:
    """Within it, `note` is called for every function of torch that a module calls itself."""
    overrides = need("torch.overrides", extra="export")

    class FunctionWatch(overrides.TorchFunctionMode):  # type: ignore[misc,name-defined]  # the type check runs without torch
        """Calls `note` after each function."""

        def __torch_function__(
            self,
            function: Callable[..., object],
            types: object,
            args: tuple[object, ...] = (),
            kwargs: Mapping[str, object] | None = None,
        ) -> object:
            result = function(*args, **(kwargs or {}))
            note(getattr(function, "__name__", ""), args, kwargs or {}, result)
            return result

    watch: AbstractContextManager[object] = FunctionWatch()
    return watch
