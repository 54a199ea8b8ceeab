"""Whether a module returns the same for the same inputs; a file does, so any other module is refused with the reason.

Runs in the worker.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

import numpy as np

from edgekit.core.errors import UserError
from edgekit.core.samples import Array, Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.torch.call import call, call_arguments, run_module, tensors
from edgekit.export.torch.state import Tensors, differing, tensors_of
from edgekit.export.torch.untraceable import is_foreign_file
from edgekit.export.torch.watching import watched_operators

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module

# Of the range of an output: threads may add up in another order each time.
_SHARE: Final = 1e-5
_CHANCE: Final = (
    "bernoulli",
    "binomial",
    "cauchy",
    "dropout",
    "exponential",
    "geometric",
    "log_normal",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "randint",
    "randn",
    "randperm",
    "random",
    "rrelu",
    "uniform",
)
# aten adds `native_`, `_like` and `_` to these names.
_CALLED: Final = {f"{start}{name}{end}" for name in _CHANCE for start in ("", "native_") for end in ("", "_", "_like")}


def refuse_unrepeatable(module: Module, spec: ModelSpec, feed: Feed, outputs: Feed, before: Tensors) -> None:
    """Raise if the module, which returned `outputs` for `feed` before, returns something else now.

    Args:
        before: The tensors of the module before its first call.

    Raises:
        UserError: It draws random numbers, or writes a buffer that it reads in the next call; names which, and where.
    """
    # What a module remembers of the calls before may cancel out once, and not in two calls in a row.
    if all(_agree(outputs, run_module(module, spec, feed)) for _ in range(2)):
        return
    drawn = _drawn(module, spec, feed)
    if drawn is not None:
        raise UserError(
            f"The module draws random numbers when it runs ({drawn}), so an exported file cannot agree with it.",
            hint="Make the noise an input, forward(self, x, noise), or draw only if self.training.",
        )
    written = differing(before, tensors_of(module))
    if written:
        name = written[0].rpartition(".")[2]
        raise UserError(
            f"The module changes '{written[0]}' when it runs and reads it in the next call; an exported file has no "
            "memory between two calls.",
            hint=f"Make it an input and an output: def forward(self, x, {name}): ... return y, {name}",
        )
    raise UserError(
        "The module returns different outputs for the same inputs.", hint="Call it twice from Python and compare."
    )


def _agree(first: Feed, second: Feed) -> bool:
    return all(first[name].shape == second[name].shape and _is_near(first[name], second[name]) for name in first)


def _is_near(first: Array, second: Array) -> bool:
    if not np.issubdtype(first.dtype, np.inexact):
        return bool((first == second).all())
    finite = np.isfinite(first)
    limit = _SHARE * float(np.abs(first[finite]).max()) if finite.any() else 0.0
    return bool(np.allclose(first, second, rtol=0, atol=limit, equal_nan=True))


def _drawn(module: Module, spec: ModelSpec, feed: Feed) -> str | None:
    """The first operator that draws random numbers, with the line of the module that calls it."""
    found: list[str] = []

    def note(operator: str, *_: object) -> None:
        if not found and operator in _CALLED:
            found.append(f"'{operator}'{_place()}")

    with need("torch", extra="export").no_grad(), watched_operators(note):
        call(module, call_arguments(module, spec), tensors(feed, spec).values())
    return found[0] if found else None


def _place() -> str:
    own = [frame for frame in traceback.extract_stack() if not is_foreign_file(frame.filename)]
    return f" at {own[-1].filename}:{own[-1].lineno} `{own[-1].line}`" if own else ""
