"""How far a module's outputs are from themselves when they are computed another way. Runs in the worker.

A float32 network returns exact values only up to its own rounding. Where the network amplifies rounding, as a
normalization of a nearly constant signal does, two correct backends differ by far more than elsewhere. The distance of
the float32 outputs from those in float64, and from those of inputs that are moved by one unit in the last place,
measures this amplification (N. Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 1.6: forward error
is at most condition number times backward error).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from edgekit.core.samples import Array, Feed
from edgekit.core.spec.model_spec import ModelSpec
from edgekit.core.system.optional import need
from edgekit.export.torch.call import run_module

if TYPE_CHECKING:
    from edgekit.export.graphs.torch_types import Module

Run = Callable[[Feed], Feed]

_ROWS: Final = 8
# The copy in float64 of a larger module would take more memory than a laptop has.
_MAX_DOUBLE_BYTES: Final = 2 << 30


def deviations(
    runs: Sequence[Run], spec: ModelSpec, feeds: Iterable[tuple[Feed, Feed]], limit_s: float
) -> Iterator[Feed]:
    """For each pair of a feed and the module's outputs, how far every element is from what `runs` return.

    Args:
        limit_s: No new rows are begun after this much processor time, in seconds; a feed of several rows then gives
            the first of them. What is measured does not depend on what else the machine does.

    Yields:
        `{name: (rows, ...)}`, infinite where only one of two values is finite; empty if every run fails.
    """
    end = time.process_time() + limit_s
    for feed, outputs in feeds:
        found: list[Feed] = []
        for rows in _pieces(feed, outputs, spec):
            if found and time.process_time() > end:
                break
            found.append(_deviation(_taken(outputs, rows), runs, _taken(feed, rows)))
        yield {name: np.concatenate([one[name] for one in found]) for name in found[0]} if len(found) > 1 else found[0]
        if time.process_time() > end:
            return


def _pieces(feed: Feed, outputs: Feed, spec: ModelSpec) -> list[slice | None]:
    """Rows of a feed, some at a time; None for a feed that cannot be cut."""
    count = len(next(iter(feed.values()))) if spec.batch_axis else 0
    if count <= _ROWS or any(array.shape[:1] != (count,) for array in (*feed.values(), *outputs.values())):
        return [None]
    return [slice(start, start + _ROWS) for start in range(0, count, _ROWS)]


def _taken(feed: Feed, rows: slice | None) -> Feed:
    return feed if rows is None else {name: array[rows] for name, array in feed.items()}


def _deviation(outputs: Feed, runs: Iterable[Run], feed: Feed) -> Feed:
    found: Feed = {}
    for run in runs:
        try:
            others = run(feed)
        except Exception:  # noqa: BLE001, S112  # a user's module may raise anything in a dtype it was not written for
            continue
        for name, array in outputs.items():
            if array.dtype.kind == "f" and name in others and others[name].shape == array.shape:
                found[name] = np.maximum(found.get(name, np.float32(0)), _distance(array, others[name]))
    return found


def torch_runs(module: Module, spec: ModelSpec, fixed: Iterable[str]) -> tuple[Run, ...]:
    """The same module in float64 where it can be copied, and on inputs moved by one unit in the last place.

    Args:
        fixed: Names of the inputs that must not be moved, such as masks.
    """
    moved = moved_run(lambda feed: run_module(module, spec, feed), spec, fixed)
    double = _doubled(module)
    return (*(() if double is None else (_double_run(double, spec),)), *moved)


def moved_run(run: Run, spec: ModelSpec, fixed: Iterable[str]) -> tuple[Run, ...]:
    """`run` on inputs whose floats are moved by one unit in the last place, up or down; nothing without floats."""
    names = {tensor.name for tensor in spec.inputs if tensor.dtype.startswith("float")} - set(fixed)
    if not names:
        return ()
    return (lambda feed: run({name: _moved(one) if name in names else one for name, one in feed.items()}),)


def _distance(array: Array, other: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(np.asarray(array, np.float64) - np.asarray(other, np.float64))
    same = (array == other) | (np.isnan(array) & np.isnan(other))
    return np.where(same, 0.0, np.where(np.isnan(far), np.inf, far)).astype(np.float32)


def _moved(array: Array) -> Array:
    ups = np.random.default_rng(0).random(array.shape) < 0.5
    values = np.asarray(array)
    return np.where(ups, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)).astype(array.dtype)


def _doubled(module: Module) -> Module | None:
    try:
        size = sum(one.numel() for one in (*module.parameters(), *module.buffers()))
        return copy.deepcopy(module).double().eval() if 8 * size <= _MAX_DOUBLE_BYTES else None
    except Exception:  # noqa: BLE001  # modules that cannot be copied, scripted ones among them
        return None


def _double_run(double: Module, spec: ModelSpec) -> Run:
    torch = need("torch", extra="export")
    inputs = tuple(
        msgspec.structs.replace(one, dtype="float64") if one.dtype == "float32" else one for one in spec.inputs
    )
    wide = msgspec.structs.replace(spec, inputs=inputs)

    def run(feed: Feed) -> Feed:
        # Tensors that the module makes on its way are of the default type.
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            # The fused kernel misreads a float32 mask next to float64 queries (torch 2.13).
            with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
                return run_module(double, wide, feed)
        finally:
            torch.set_default_dtype(before)

    return run
