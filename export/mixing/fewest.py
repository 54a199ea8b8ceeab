"""The fewest operators that must keep another form for a quantized file to be good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

# Up to so many kept operators, each is tried without: it costs one quantization.
PRUNED: Final = 8


class Kept(msgspec.Struct, frozen=True):
    """One operator that stays in float: the tensor it computes, the error that quantization adds there as a share of
    the tensor's size, and, where measured, the drop if this operator were quantized."""

    tensor: str
    operator: str
    module: str
    added: float
    drop_without: float | None = None


@dataclass(frozen=True)
class KeepCandidate:
    """An operator that may stay in float; `tensors` are the names by which the quantizer knows it.

    `inputs` are the tensors that it reads, as `Kept.tensor` names them.
    """

    tensors: tuple[str, ...]
    kept: Kept
    inputs: tuple[str, ...] = ()
    is_layer: bool = False


def with_sources(candidates: Sequence[KeepCandidate]) -> tuple[KeepCandidate, ...]:
    """The same, each followed by what it is computed from, back to the next layers.

    An operator that takes the difference of large values shows the error that the operators before it have made.
    """
    known = {one.kept.tensor: one for one in candidates}
    order: dict[str, KeepCandidate] = {}
    for one in candidates:
        open_names = [one.kept.tensor]
        while open_names:
            name = open_names.pop(0)
            found = known.get(name)
            if found is not None and (name not in order or found is one):
                order[name] = found
                open_names += found.inputs if found is one or not found.is_layer else ()
    return tuple(order.values())


def by_gain(
    candidates: Sequence[KeepCandidate],
    measure: Callable[[Sequence[KeepCandidate]], float],
    has_time: Callable[[], bool] = lambda: True,
) -> tuple[KeepCandidate, ...]:
    """Those that were measured alone while there was time, the smallest measure first; without those below 0.

    The first whose measure is 0 is enough.
    """
    measured: list[tuple[float, KeepCandidate]] = []
    for one in candidates:
        if not has_time():
            break
        measured.append((measure([one]), one))
        if measured[-1][0] == 0:
            return (one,)
    return tuple(one for value, one in sorted(measured, key=lambda pair: pair[0]) if value >= 0)


def fewest(
    candidates: Sequence[KeepCandidate],
    measure: Callable[[Sequence[KeepCandidate]], float],
    limit: float,
    has_time: Callable[[], bool] = lambda: True,
) -> tuple[KeepCandidate, ...] | None:
    """The fewest of `candidates`, the most promising first, whose measure is at most `limit`.

    Doubles their number until the measure is small enough, bisects the last step, then removes what is not needed. When
    `has_time` says no, the best so far is returned. None if all of them are not enough, or the time ends before any is.
    """
    high = 1
    while measure(candidates[:high]) > limit:
        if high >= len(candidates) or not has_time():
            return None
        high = min(2 * high, len(candidates))
    low = high // 2
    while high - low > 1 and has_time():
        middle = (low + high) // 2
        low, high = (low, middle) if measure(candidates[:middle]) <= limit else (middle, high)
    chosen = list(candidates[:high])
    for one in reversed(chosen[:-1] if high <= PRUNED else []):
        rest = [other for other in chosen if other is not one]
        if has_time() and measure(rest) <= limit:
            chosen = rest
    return tuple(chosen)
